import { svelte } from '@sveltejs/vite-plugin-svelte'
import { VitePWA } from 'vite-plugin-pwa'
import { defineConfig, type Plugin } from 'vite'
import { readFileSync } from 'node:fs'

const version = (JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { version: string }).version

const gateway = { '/api': { target: process.env['PAGER_URL'] ?? 'http://127.0.0.1:3000', ws: true } }

/**
 * Nearly all of the first file runs before the first screen is there: a browser that knows the hint compiles it whole, beside
 * the page, and not function by function in its way (https://v8.dev/blog/explicit-compile-hints). Others read a comment.
 */
const compiledAtOnce: Plugin = {
  name: 'compiled-at-once',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      for (const file of Object.values(bundle))
        if (file.type === 'chunk' && file.name === 'first') file.code = `//# allFunctionsCalledOnLoad\n${file.code}`
    },
  },
}

// The gateway serves the app at /app with a policy that forbids inline scripts and styles; a phone serves it at /.
export default defineConfig(({ mode }) => ({
  base: mode === 'native' ? '/' : '/app/',
  define: { __APP_VERSION__: JSON.stringify(version) },
  plugins: [
    svelte(),
    compiledAtOnce,
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/sw',
      filename: 'sw.ts',
      // Registered by `core/start.ts`, on the web only: no inline script, and none in a phone's shell.
      injectRegister: false,
      manifest: false,
      disable: mode === 'native',
      injectManifest: { globPatterns: ['**/*.{js,css,html,png,svg,webmanifest}'], minify: true, sourcemap: false, rollupFormat: 'iife' },
    }),
  ],
  build: {
    outDir: mode === 'native' ? 'dist' : '../services/gateway/webapp',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
    // What is shown first comes as one file, with all that it needs: a phone that is just woken asks once and not
    // seventeen times, and no screen waits for the file that names its own.
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: 'first', test: /rolldown[\\/]runtime|[\\/]src[\\/](?:main\.ts|features[\\/](?:auth[\\/]SignIn|incidents[\\/]List)\.svelte)$/ }] } },
    },
  },
  // The app by itself, with a gateway behind it.
  server: { proxy: gateway },
  preview: { proxy: gateway },
}))
