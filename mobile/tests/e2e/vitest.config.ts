import { defineConfig } from 'vitest/config'

// One stack for all, and one file after the other: they share a machine with databases.
export default defineConfig({
  root: new URL('../../', import.meta.url).pathname,
  test: {
    include: ['tests/e2e/**/*.test.ts'],
    environment: 'node',
    globalSetup: ['tests/e2e/stack.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
})
