import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import mime from "mime";

const build = JSON.parse(await readFile("generated/build.json", "utf8"));

const server = createServer(async (request, response) => {
  const [pathname] = request.url.split("?");
  const answer = (status, type, body) => {
    console.log(`${request.method} ${pathname} ${status}`);
    response.writeHead(status, { "content-type": type });
    response.end(body);
  };
  if (pathname === "/healthz") return answer(200, "text/plain", "ok\n");
  if (pathname === "/version") return answer(200, "application/json", JSON.stringify(build));
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  // Generated names only: no way up the tree.
  if (!/^[a-z]+\.html$/.test(name)) return answer(404, "text/plain", "not found\n");
  try {
    answer(200, mime.getType(name), await readFile(`generated/${name}`));
  } catch {
    answer(404, "text/plain", "not found\n");
  }
});

const port = Number(process.env.PORT ?? 3000);
server.listen(port, () => console.log(`version ${build.version} listens on ${port}`));

// Stop taking requests, finish those in flight, go.
process.on("SIGTERM", () => {
  console.log("told to stop");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
