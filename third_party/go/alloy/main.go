// Parses a file in Alloy's configuration language, and prints its blocks as JSON: the names of those around each and its
// own, its label, and its attributes with their expressions.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/alloy/syntax/ast"
	"github.com/grafana/alloy/syntax/parser"
	"github.com/grafana/alloy/syntax/printer"
)

type block struct {
	Path       []string          `json:"path"`
	Label      string            `json:"label"`
	Attributes map[string]string `json:"attributes"`
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	check(err)
	file, err := parser.ParseFile(os.Args[1], content)
	check(err)
	blocks := []block{}
	collect(file.Body, nil, &blocks)
	check(json.NewEncoder(os.Stdout).Encode(blocks))
}

func collect(body ast.Body, around []string, blocks *[]block) {
	for _, statement := range body {
		found, isBlock := statement.(*ast.BlockStmt)
		if !isBlock {
			continue
		}
		path := append(append([]string{}, around...), strings.Join(found.Name, "."))
		attributes := map[string]string{}
		for _, inner := range found.Body {
			if attribute, isAttribute := inner.(*ast.AttributeStmt); isAttribute {
				var text bytes.Buffer
				check(printer.Fprint(&text, attribute.Value))
				attributes[attribute.Name.Name] = text.String()
			}
		}
		*blocks = append(*blocks, block{path, found.Label, attributes})
		collect(found.Body, path, blocks)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
