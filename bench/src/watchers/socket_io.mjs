// What a page for a deployment is usually made with: lines of a program, emitted to all who watch it.
// socket_io.mjs PROGRAM GATE RATE SECONDS; prints its port.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const http = createServer();
// The raw client answers no pings: there are none while it watches.
const io = new Server(http, { transports: ["websocket"], serveClient: false, pingInterval: 600_000, pingTimeout: 600_000 });
io.on("connection", (socket) => socket.join("deployment"));

const printer = spawn("python3", process.argv.slice(2), { stdio: ["ignore", "pipe", "inherit"] });
let seq = 0;
createInterface({ input: printer.stdout }).on("line", (text) => {
  seq += 1;
  io.to("deployment").emit("line", { seq, at: Date.now(), source: "building", stream: "stdout", text });
});
process.on("SIGTERM", () => {
  printer.kill();
  process.exit(0);
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
