// Analyses KQL with Microsoft's own parser, against tables with columns and types.
//
// Reads {"modules": <folder>, "tables": {<table>: {<column>: <type>}}, "queries": {<name>: <KQL>}} from standard input, and
// writes {<name>: {"errors": [...], "tables": [...], "columns": [...]}}: the errors of a query, and the tables and columns it names.
const path = require("node:path");

const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
for (const name of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  require(path.join(input.modules, "@kusto", "language-service-next", name));
}
const { GlobalState, KustoCode, Symbols, Syntax } = globalThis.Kusto.Language;

const tables = Object.entries(input.tables).map(([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`);
  return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(", ")})`, null);
});
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("workspace", tables));

function check(text) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const errors = Array.from(globalThis.Bridge.toArray(code.GetDiagnostics()), (each) => `${text.slice(0, each.Start).split("\n").length}: ${each.Message}`);
  const named = { tables: new Set(), columns: new Set() };
  Syntax.SyntaxElement.WalkNodes(code.Syntax, (node) => {
    const symbol = node.ReferencedSymbol;
    if (symbol instanceof Symbols.TableSymbol && tables.includes(symbol)) named.tables.add(symbol.Name);
    if (symbol instanceof Symbols.ColumnSymbol) {
      const table = globals.GetTable(symbol);
      if (table) named.columns.add(`${table.Name}.${symbol.Name}`);
    }
  });
  return { errors, tables: [...named.tables].sort(), columns: [...named.columns].sort() };
}

const results = Object.entries(input.queries).map(([name, text]) => [name, check(text)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));
