// Command faultcalc calculates which sets of nodes to fail in a sharded,
// replicated database, and what has to happen then. Run it with --help.
package main

import (
	"os"

	"github.com/cutset-dev/cutset/faultcalc/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
