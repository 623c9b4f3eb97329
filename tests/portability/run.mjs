// Run one Python program under MicroPython (WebAssembly).
//
//   node run.mjs ROOT PROGRAM.py FOLDER_OR_FILE...
//
// Each FOLDER_OR_FILE is a path below ROOT; its .py files are copied to the same path in
// MicroPython's file system, whose import path starts there.  Standard output
// is the program's; the exit code is 1 if it raised.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [root, program, ...sources] = process.argv.slice(2);
const module = join(root, "build/node/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs");
const { loadMicroPython } = await import(pathToFileURL(module).href);
const mp = await loadMicroPython({
  heapsize: 64 * 1024 * 1024,
  stdout: (text) => process.stdout.write(text + "\n"),
  linebuffer: true,
});

function copy(path) {
  const full = join(root, path);
  if (statSync(full).isDirectory()) {
    mp.FS.mkdirTree("/" + path);
    for (const name of readdirSync(full)) {
      if (name.endsWith(".py") || statSync(join(full, name)).isDirectory()) copy(path + "/" + name);
    }
  } else {
    mp.FS.mkdirTree("/" + path.split("/").slice(0, -1).join("/"));
    mp.FS.writeFile("/" + path, readFileSync(full));
  }
}

sources.forEach(copy);
try {
  await mp.runPythonAsync("import sys\nsys.path.insert(0, '/')\n" + readFileSync(program, "utf8"));
} catch (error) {
  process.stdout.write(String(error.message ?? error) + "\n");
  process.exitCode = 1;
}
