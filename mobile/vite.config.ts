import { svelte } from '@sveltejs/vite-plugin-svelte'
import { VitePWA } from 'vite-plugin-pwa'
import { defineConfig } from 'vite'
import { readFileSync } from 'node:fs'

const version = (JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { version: string }).version

const gateway = { '/api': { target: process.env['PAGER_URL'] ?? 'http://127.0.0.1:3000', ws: true } }

// The gateway serves the app at /app with a policy that forbids inline scripts and styles; a phone serves it at /.
export default defineConfig(({ mode }) => ({
  base: mode === 'native' ? '/' : '/app/',
  define: { __APP_VERSION__: JSON.stringify(version) },
  plugins: [
    svelte(),
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
