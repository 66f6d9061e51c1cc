// After a build: what it was made from, so that a test without Node sees when the sources went on and it did not.
// `tests/test_the_app_is_built.py` computes the same.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url).pathname
const PARTS = ['index.html', 'package-lock.json', 'package.json', 'public', 'src', 'svelte.config.js', 'tsconfig.json', 'vite.config.ts']
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

const names = PARTS.flatMap((part) =>
  statSync(root + part).isFile()
    ? [part]
    : readdirSync(root + part, { recursive: true })
        .map((name) => `${part}/${name}`)
        .filter((name) => statSync(root + name).isFile()),
).sort()
const lines = names.map((name) => `${sha256(readFileSync(root + name))}  ${name}\n`)
writeFileSync(`${root}built-from.sha256`, `${sha256(lines.join(''))}\n`)
