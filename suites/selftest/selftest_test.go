// Package selftest tests the harness like a product: it runs suites/ha, for real, on targets, with clients and on a harness that
// have one defect each, and expects verdicts that notice, with the right judge, the right blame and the evidence. A healthy
// target has to be green.
//
//	make selftest                                   # every defect once
//	make selftest N=10 ARGS=-run=/replays           # one of them ten times
package selftest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// asked is set by `make selftest`. Without it the package is skipped, and takes no notice of the flags of other suites.
const asked = "CUTSET_SELFTEST"

var repeat = flag.Int("repeat", 1, "do every run so many times")

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "" {
		fmt.Fprintf(os.Stderr, "selftest: skipped, as it takes a quarter of an hour; `make selftest` does it\n")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// row is a line of the track record.
type row struct {
	of           seeded
	by           string // the first judge that was right
	caught, runs int
}

func TestSelftest(t *testing.T) {
	suite := build(t)
	var record []row
	for _, s := range slices.Concat(targets, harness) {
		t.Run(s.name, func(t *testing.T) {
			r := row{of: s}
			for range *repeat {
				r.runs++
				o := suite.run(t, s)
				by, err := s.caught(o)
				if err != nil {
					t.Logf("run %d of %d: %v; everything is in %s", r.runs, *repeat, err, o.dir)
					continue
				}
				t.Logf("run %d of %d: %s", r.runs, *repeat, by)
				r.by = by
				r.caught++
				if s.healthy() {
					notTaken(t, o)
				}
			}
			record = append(record, r)
			if !s.enough(r.caught, r.runs) {
				t.Errorf("right in %d of %d runs; see it with: %s", r.caught, r.runs, s.command())
			}
		})
	}
	t.Logf("the track record:\n%s", table(record))
}

// notTaken checks that no defect is taken to be caught in a run of a healthy target.
func notTaken(t *testing.T, healthy outcome) {
	t.Helper()
	for _, s := range slices.Concat(targets, harness) {
		if by, err := s.caught(healthy); err == nil && !s.healthy() {
			t.Errorf("%q would be taken to be caught by a healthy run: %s", s.name, by)
		}
	}
}

func table(record []row) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "DEFECT\tCAUGHT BY\tCAUGHT\tCOMMAND")
	for _, r := range record {
		_, _ = fmt.Fprintf(w, "%s\t%.60s\t%d/%d\t%s\n", r.of.name, r.by, r.caught, r.runs, r.of.command())
	}
	_ = w.Flush()
	return text.String()
}
