import { createServer } from "node:http";

const page = `<!doctype html>
<meta charset="utf-8">
<title>Visits</title>
<h1>Visits: <span id="n">…</span></h1>
<script>
  fetch("/api/visits").then((r) => r.json()).then((r) => (document.getElementById("n").textContent = r.visits));
</script>
`;

const server = createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  if (request.url === "/healthz") return response.end("ok\n");
  response.setHeader("content-type", "text/html");
  response.end(page);
});

server.listen(Number(process.env.PORT ?? 3000), () => console.log("web listens"));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
