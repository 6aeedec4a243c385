package cli

import (
	"flag"
	"io"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
)

// defaultLimit keeps a careless call from filling the disk.
const defaultLimit = 100_000

func (a *app) register(fs *flag.FlagSet) {
	for _, name := range []string{"f", "file"} {
		fs.StringVar(&a.file, name, "", "topology `file`, YAML or JSON; - for standard input")
	}
	for _, name := range []string{"o", "output"} {
		fs.StringVar(&a.output, name, "", "output `format`: json, yaml, table (default), csv, dot; matrix: json by default")
	}
	fs.StringVar(&a.table, "table", "", "`name` of the table; not needed if there is one")
	fs.StringVar(&a.level, "level", "machine", "what fails: machine, instance, or a machine `label` such as zone")
	fs.IntVar(&a.limit, "limit", defaultLimit, "longest list that is printed; 0 for no limit")
	fs.IntVar(&a.budget, "budget", faultcalc.DefaultBudget, "`steps` that the proof of the minimum keeper set may take")
	fs.Var(&a.failOn, "fail-on", "exit 1 on a `finding`: spof, unavailable, or both")
	fs.Var(&a.include, "include", "lists of cases in the plan: boundary (default), published, none")
	fs.IntVar(&a.spec.MaxSize, "max-size", 0, "add all fault sets with up to `k` nodes")
	fs.IntVar(&a.spec.TWay, "t-way", 0, "add a covering array of strength `t`")
	fs.Var(&a.domains, "domain", "add every failure domain of a machine `label`")
	fs.BoolVar(&a.spec.Collapse, "collapse", false, "keep one case of every set of symmetric ones, with their number as orbit")
	fs.IntVar(&a.spec.MaxCases, "budget-cases", 0, "end the plan after `n` cases")
	fs.StringVar(&a.part, "part", "", "keep part `i/n` of the plan, such as 1/4")
	fs.StringVar(&a.spec.After, "after", "", "resume the plan after the case with this `id`")
	fs.IntVar(&a.parts, "parts", 0, "matrix: number of jobs `n`; 0 for one per case")
	fs.Var(whole{&a.sets}, "set", "coverage: a case as comma-separated `nodes`; repeat it")
	fs.StringVar(&a.cases, "cases", "", "coverage: `file` with cases: a plan as JSON, or a line of comma-separated nodes each")
	for _, name := range []string{"fail", "nodes"} {
		fs.Var(&a.args, name, "status: `nodes` that fail, comma-separated; the same as arguments")
	}
}

const intro = `faultcalc calculates which sets of nodes to fail in a sharded, replicated
database, and what has to happen then.

usage: faultcalc <command> -f topology.yaml [flags] [-o json|yaml|table|csv|dot]

commands:
`

const examples = `
examples:
  faultcalc plan -f topology.yaml -o json              all results as one document
  faultcalc plan -f topology.yaml --include boundary,published --budget-cases 50
  faultcalc cuts -f topology.yaml --level zone --fail-on spof
  faultcalc status -f topology.yaml m1 m3              what if m1 and m3 fail?
  faultcalc coverage -f topology.yaml --set m1,m2 --set m2,m4
  faultcalc plan -f topology.yaml -o json --part 2/4   the second of four CI jobs
  echo "matrix=$(faultcalc matrix -f topology.yaml --parts 4)" >> "$GITHUB_OUTPUT"
  faultcalc cuts -f topology.yaml -o dot | dot -Tsvg > topology.svg

document:
  machines:                     # their order breaks ties
    - {name: m1, labels: {zone: a}, failureProbability: 0.01, addresses: [10.0.0.1]}
  instances:
    - {name: pg-1, machine: m1, address: "10.0.0.1:5432"}
  tables:
    - name: t
      rule: any                 # any | majority | atLeast | primary | data
      shards:
        - number: 1
          rule: atLeast         # overrides the table's
          k: 2
          replicas:             # role primary|standby|async|witness, state available|unavailable
            - {instance: pg-1, role: primary, state: available}

exit codes: 0 ok, 1 a finding that --fail-on asked for, 2 bad input.
(go run reports every one but 0 as 1; build the command to see them.)
`

// usage prints the help text.
func (a *app) usage(w io.Writer) {
	printf(w, "%s", intro)
	for _, c := range commands {
		printf(w, "  %-11s %s\n", c.name, c.help)
	}
	printf(w, "\nflags:\n")
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	(&app{}).register(fs)
	fs.VisitAll(func(f *flag.Flag) {
		if f.Name == "file" || f.Name == "output" || f.Name == "nodes" {
			return
		}
		value, text := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if len(f.Name) == 1 {
			name = "-" + f.Name
		}
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "false" {
			text += " (default " + f.DefValue + ")"
		}
		printf(w, "  %-22s %s\n", strings.TrimSpace(name+" "+value), text)
	})
	printf(w, "%s", examples)
}
