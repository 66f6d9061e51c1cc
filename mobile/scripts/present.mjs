// Runs what a folder of tests brings (its `run.mjs`), and says so where there is none.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { spawnSync } from 'node:child_process'

const runner = resolve(process.argv[2] ?? '', 'run.mjs')
if (!existsSync(runner)) {
  console.error(`there is no ${runner}`)
  process.exit(1)
}
process.exit(spawnSync(process.execPath, [runner, ...process.argv.slice(3)], { stdio: 'inherit' }).status ?? 1)
