// Turns the Markdown in pages/ into HTML in generated/, which the server serves.
// `marked` is needed for this alone: it is gone from the release.
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { marked } from "marked";

const { version } = JSON.parse(await readFile("package.json", "utf8"));
await mkdir("generated", { recursive: true });
for (const page of await readdir("pages")) {
  const html = await marked.parse(await readFile(`pages/${page}`, "utf8"));
  const target = `generated/${page.replace(/\.md$/, ".html")}`;
  await writeFile(target, `<!doctype html>\n<meta charset="utf-8">\n${html}`);
  console.log(`built ${target}`);
}
await writeFile("generated/build.json", JSON.stringify({ version, node: process.version }));
