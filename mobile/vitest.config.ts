import { svelte } from '@sveltejs/vite-plugin-svelte'
import { svelteTesting } from '@testing-library/svelte/vite'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  define: { __APP_VERSION__: JSON.stringify('test') },
  test: {
    environment: 'jsdom',
    environmentOptions: { jsdom: { url: 'https://pager.test/app/' } },
    include: ['tests/unit/**/*.test.ts'],
    setupFiles: ['tests/unit/setup.ts'],
    coverage: {
      provider: 'v8',
      reporter: ['text-summary', 'text'],
      include: ['src/**/*.ts'],
      // Tables and types without a decision; the bridge to the phone is shown by tests/native.
      exclude: ['src/**/*.d.ts', 'src/main.ts', 'src/sw/sw.ts', 'src/messages/**', 'src/features/*/index.ts'],
      thresholds: { lines: 85, branches: 85 },
      skipFull: true,
    },
  },
})
