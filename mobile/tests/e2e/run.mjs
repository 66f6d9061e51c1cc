// The app in a real Chromium against a real stack of its own: `npm run test:e2e -- [--numbers] [--update] [--pictures=FOLDER] [--no-build] [what Vitest takes]`.
// Where there is no Chromium it says so, and is no failure: the machine is at fault and not the app.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

const mobile = new URL('../../', import.meta.url).pathname
const own = new Set(['--numbers', '--update', '--no-build'])
const given = process.argv.slice(2)
const pictures = given.find((each) => each.startsWith('--pictures='))
const asked = (name) => given.includes(name)

function onPath(name) {
  const places = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  return places.find((place) => existsSync(place))
}
function chromium() {
  const named = process.env.CHROMIUM_PATH
  if (named) return existsSync(named) ? named : null
  if (existsSync('/usr/bin/chromium')) return '/usr/bin/chromium'
  return onPath('google-chrome') ?? onPath('google-chrome-stable') ?? onPath('chromium') ?? null
}
function run(...command) {
  const done = spawnSync(process.execPath, command, { cwd: mobile, stdio: 'inherit', env })
  if (done.status !== 0) process.exit(done.status ?? 1)
}
function skip(reason) {
  console.log(`\n${'='.repeat(72)}\nSKIPPED: the app was not tried in a browser: ${reason}\n${'='.repeat(72)}\n`)
  process.exit(0)
}

if (Number(process.versions.node.split('.')[0]) < 22) {
  console.error(`Node ${process.versions.node} is too old: put ../.venv/bin first in PATH`)
  process.exit(1)
}
const found = chromium()
if (found === null) skip(process.env.CHROMIUM_PATH ? `CHROMIUM_PATH names ${process.env.CHROMIUM_PATH}, which is not there` : 'there is no Chromium (CHROMIUM_PATH, /usr/bin/chromium, google-chrome)')
if (!existsSync(join(mobile, '../.venv/bin/pager'))) {
  console.error('there is no .venv/bin/pager: make setup')
  process.exit(1)
}
const env = {
  ...process.env,
  CHROMIUM_PATH: found,
  APP_E2E_NUMBERS: asked('--numbers') ? '1' : '',
  APP_E2E_UPDATE: asked('--update') ? '1' : '',
  APP_E2E_PICTURES: pictures === undefined ? '' : resolve(pictures.slice('--pictures='.length)),
}
// The gateway serves what is in its folder: what is tried has to be what the sources say.
if (!asked('--no-build')) {
  run('node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn')
  run('scripts/built.mjs')
}
run('node_modules/vitest/vitest.mjs', 'run', '--config', 'tests/e2e/vitest.config.ts', ...(pictures === undefined ? given.filter((each) => !own.has(each)) : ['tests/e2e/pictures']))
