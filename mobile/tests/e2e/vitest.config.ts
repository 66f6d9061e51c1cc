import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Pictures first: what other files open would be on them. */
class PicturesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => `${moduleId.includes('screens') ? 0 : 1}${moduleId}`
    return [...files].sort((one, other) => place(one).localeCompare(place(other)))
  }
}

// One stack for all, and one file after the other: they share a machine with databases.
export default defineConfig({
  root: new URL('../../', import.meta.url).pathname,
  test: {
    include: ['tests/e2e/**/*.test.ts'],
    environment: 'node',
    globalSetup: ['tests/e2e/stack.ts'],
    fileParallelism: false,
    sequence: { sequencer: PicturesFirst },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
})
