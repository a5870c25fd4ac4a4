// Package builtin holds the rules that Trailtide ships with, written in its
// own rule language, one file a theme. It holds text only: reading and
// compiling are for matcher/native and matcher. docs/builtin.md lists the
// rules, and which published list each one answers.
package builtin

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var files embed.FS

// FS returns the rule files, all at the top of the tree. It is read-only.
func FS() fs.FS { return files }
