// Text files as modules, which workerd has and nobody else.
declare module '*.yaml' {
  const text: string;
  export default text;
}
