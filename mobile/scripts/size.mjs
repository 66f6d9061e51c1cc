// What a browser fetches before it shows anything: the scripts that index.html names and what they import, gzipped.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const LIMIT = 80_000
const built = new URL('../../services/gateway/webapp/', import.meta.url)
const html = readFileSync(new URL('index.html', built), 'utf8')
const wanted = [...html.matchAll(/(?:src|href)="\/app\/([^"]+\.js)"/g)].map((found) => found[1])
const seen = new Set()
while (wanted.length > 0) {
  const name = wanted.pop()
  if (name === undefined || seen.has(name)) continue
  seen.add(name)
  const text = readFileSync(new URL(name, built), 'utf8')
  for (const found of text.matchAll(/(?:^|[;}\n])import(?:[^"'()]*from)?["']\.\/([^"']+)["']/g)) wanted.push(`assets/${found[1]}`)
}
const bytes = [...seen].reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, built)), { level: 9 }).length, 0)
console.log(`first-load JavaScript: ${(bytes / 1000).toFixed(1)} kB gzip in ${seen.size} files (at most ${LIMIT / 1000})`)
if (seen.size === 0 || bytes > LIMIT) process.exit(1)
