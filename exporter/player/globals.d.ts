/** Filled in by build.js: the WebAssembly files beside the player. */
declare const PLAYER_ASSETS: Readonly<Record<string, { size_bytes: number; sha256: string }>>;

declare module "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js" {
  const factory: (options: object) => Promise<any>;
  export default factory;
}
