// The native projects, as far as they can be checked without Xcode and the Android SDK: tests in Python, beside this.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const python = process.env.PYTHON ?? 'python'
const ran = spawnSync(python, ['-m', 'pytest', '-rs', here, ...process.argv.slice(2)], { stdio: 'inherit' })
process.exit(ran.status ?? 1)
