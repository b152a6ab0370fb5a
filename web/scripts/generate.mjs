// Writes what is made from other files: the types of the API from openapi.json, and the table of routes.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Generator, getConfig } from '@tanstack/router-generator'
import openapi, { COMMENT_HEADER, astToString } from 'openapi-typescript'
import { routes } from './routes.mjs'

const web = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(web)

/** A reference with more beside it is both: the generator would drop what stands beside. */
function spread(schema) {
  if (Array.isArray(schema)) return schema.map(spread)
  if (schema === null || typeof schema !== 'object') return schema
  const { $ref, ...beside } = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, spread(value)]))
  if ($ref === undefined) return beside
  const telling = Object.keys(beside).some((name) => ['properties', 'oneOf', 'anyOf', 'allOf'].includes(name))
  return telling ? { allOf: [{ $ref }, beside] } : { $ref, ...beside }
}

const types = await openapi(spread(JSON.parse(readFileSync('../openapi.json', 'utf8'))), {
  alphabetize: true,
  rootTypes: true,
  rootTypesNoSchemaPrefix: true,
  defaultNonNullable: false,
})
const file = join(web, 'src/api/schema.d.ts')
const text = `${COMMENT_HEADER}${astToString(types)}`
// The same again keeps its time: nothing is built anew for it.
if (readFileSync(file, { encoding: 'utf8', flag: 'a+' }) !== text) writeFileSync(file, text)

await new Generator({ config: getConfig(routes, web), root: web }).run()
