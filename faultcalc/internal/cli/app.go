// Package cli is the command faultcalc: it reads a topology document, asks
// package faultcalc, and prints.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/faultcalc/topofile"
)

// The exit codes.
const (
	exitOK      = 0
	exitFinding = 1 // a finding that --fail-on asked for
	exitBad     = 2 // bad input
)

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	command string
	args    list
	file    string
	table   string
	level   string
	output  string
	limit   int
	budget  int
	failOn  list
	spec    faultcalc.PlanSpec
	include list
	domains list
	part    string
	parts   int
	sets    list
	cases   string

	topology  faultcalc.Topology
	model     *faultcalc.Model
	truncated bool
	warnings  []string
}

// list is a flag that can be repeated and takes comma-separated values.
type list []string

// String joins the values.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set appends the values.
func (l *list) Set(s string) error {
	for _, one := range strings.Split(s, ",") {
		if one = strings.TrimSpace(one); one != "" {
			*l = append(*l, one)
		}
	}
	return nil
}

// whole is a flag that can be repeated and takes its value whole.
type whole struct{ to *list }

// String joins the values.
func (w whole) String() string { return "" }

// Set appends the value.
func (w whole) Set(s string) error {
	*w.to = append(*w.to, s)
	return nil
}

// command is one word after faultcalc.
type command struct {
	name, help string
	run        func(*app) (*document, error)
}

// commands in the order of the help text.
var commands = []command{
	{"plan", "the fault sets to test, with predictions, and all results as one document", (*app).plan},
	{"cuts", "minimal cut sets: the smallest failures that take the table down", (*app).cuts},
	{"keepers", "minimal keeper sets, and the smallest with its proof", (*app).keepers},
	{"survivable", "maximal survivable sets: the largest failures that the table survives", (*app).survivable},
	{"status", "what happens when the given nodes fail (none: how it is now)", (*app).status},
	{"coverage", "what share of all fault sets a list of cases decides", (*app).coverage},
	{"matrix", "a GitHub Actions matrix of the plan", (*app).matrix},
	{"validate", "check the document", (*app).validate},
}

// Run runs the command with the arguments after its name and returns the exit
// code: 0 ok, 1 a finding that --fail-on asked for, 2 bad input.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	code, err := a.main(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			printLine(stderr, "faultcalc:", line)
		}
		return exitBad
	}
	return code
}

func (a *app) main(args []string) (int, error) {
	if len(args) == 0 || slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		a.usage(a.stdout)
		if len(args) == 0 {
			return exitBad, errors.New("no command; write one of " + commandNames())
		}
		return exitOK, nil
	}
	a.command = args[0]
	at := slices.IndexFunc(commands, func(c command) bool { return c.name == a.command })
	if at < 0 {
		return exitBad, fmt.Errorf("%q is not a command; write one of %s", a.command, commandNames())
	}
	if err := a.parse(args[1:]); err != nil {
		return exitBad, err
	}
	if err := a.load(); err != nil {
		return exitBad, err
	}
	doc, err := commands[at].run(a)
	if err != nil {
		return exitBad, err
	}
	if a.output == "dot" {
		err = a.dot()
	} else {
		err = doc.write(a.stdout, a.output)
	}
	if err != nil {
		return exitBad, err
	}
	return a.findings()
}

func commandNames() string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// parse reads the flags; they may stand before and after positional arguments.
func (a *app) parse(args []string) error {
	fs := flag.NewFlagSet(a.command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	a.register(fs)
	for len(args) > 0 {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			a.usage(a.stdout)
			return err
		} else if err != nil {
			return fmt.Errorf("%w; faultcalc --help lists all flags", err)
		}
		if args = fs.Args(); len(args) > 0 {
			if err := a.args.Set(args[0]); err != nil {
				return err
			}
			args = args[1:]
		}
	}
	if len(a.args) > 0 && a.command != "status" {
		return fmt.Errorf("%s takes no arguments, but got %q; use flags", a.command, a.args)
	}
	return a.check()
}

// formats that -o takes.
var formats = []string{"json", "yaml", "table", "csv", "dot"}

func (a *app) check() error {
	if a.output == "" {
		if a.output = "table"; a.command == "matrix" {
			a.output = "json"
		}
	}
	if !slices.Contains(formats, a.output) {
		return fmt.Errorf("-o %q is not a format; write one of %s", a.output, strings.Join(formats, ", "))
	}
	if a.file == "" {
		return errors.New("no topology; write -f topology.yaml, or -f - for standard input")
	}
	if a.limit < 0 || a.budget < 0 || a.spec.MaxCases < 0 || a.spec.MaxSize < 0 || a.spec.TWay < 0 || a.parts < 0 {
		return errors.New("a limit, budget, size or number of parts is negative; write 0 or more")
	}
	for _, f := range a.failOn {
		if f != "spof" && f != "unavailable" {
			return fmt.Errorf("--fail-on %q is not a finding; write spof, unavailable, or both", f)
		}
	}
	for _, what := range a.include {
		switch what {
		case "boundary":
			a.spec.Boundary = true
		case "published":
			a.spec.Published = true
		case "none":
		default:
			return fmt.Errorf("--include %q is not a list of cases; write boundary, published, or none", what)
		}
	}
	if len(a.include) == 0 {
		a.spec.Boundary = true
	}
	a.spec.Domains = a.domains
	if a.part != "" {
		if _, err := fmt.Sscanf(a.part, "%d/%d", &a.spec.Part, &a.spec.Parts); err != nil || a.spec.Part < 1 || a.spec.Part > a.spec.Parts ||
			fmt.Sprintf("%d/%d", a.spec.Part, a.spec.Parts) != a.part {
			return fmt.Errorf("--part %q is not i/n with 1 <= i <= n; write 1/4 for the first of four", a.part)
		}
		a.spec.Part--
	}
	return nil
}

// load reads the document and compiles the model.
func (a *app) load() error {
	in, name := a.stdin, "standard input"
	if a.file != "-" {
		f, err := os.Open(a.file)
		if err != nil {
			return fmt.Errorf("read topology: %w", err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		in, name = f, a.file
	}
	var err error
	if a.topology, err = topofile.Read(name, in); err != nil {
		return err
	}
	if a.command == "validate" && a.table == "" {
		return nil
	}
	if a.table == "" && len(a.topology.Tables) != 1 {
		names := make([]string, len(a.topology.Tables))
		for i, t := range a.topology.Tables {
			names[i] = t.Name
		}
		return fmt.Errorf("%s has %d tables (%s); write --table with one of them", name, len(names), strings.Join(names, ", "))
	}
	if a.model, err = faultcalc.Compile(a.topology, a.table, faultcalc.Level(a.level)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// findings decides the exit code.
func (a *app) findings() (int, error) {
	if a.model == nil {
		return exitOK, nil
	}
	code := exitOK
	for _, f := range a.failOn {
		switch f {
		case "spof":
			if spof := a.model.SinglePointsOfFailure(); !spof.IsEmpty() {
				printf(a.stderr, "faultcalc: finding: single points of failure %s\n", braces(a.names(spof)))
				code = exitFinding
			}
		case "unavailable":
			failed, err := a.failed()
			if err != nil {
				return exitBad, err
			}
			if a.model.Availability(failed) == faultcalc.Unavailable {
				printf(a.stderr, "faultcalc: finding: table %s is unavailable\n", a.model.Table())
				code = exitFinding
			}
		}
	}
	return code, nil
}
