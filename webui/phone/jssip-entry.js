// What build/webui/jssip.js exports to webui/static/phone.js; bundled by buildroot/host/setup.sh.
export { default as JsSIP } from "jssip";
