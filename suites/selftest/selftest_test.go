// Package selftest tests the harness like a product: it runs suites/ha, for real, on targets, with clients and on a harness that
// have one defect each, and expects verdicts that notice, with the right judge, the right blame and the evidence. A healthy
// target has to be green.
//
//	make selftest                                   # every defect once
//	make selftest N=10 P=2                          # ten times, two runs side by side
//	make selftest N=10 ARGS=-run=/replays           # one of them ten times
package selftest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asked is set by `make selftest`. Without it the package is skipped, and takes no notice of the flags of other suites.
const asked = "CUTSET_SELFTEST"

var (
	repeat = flag.Int("repeat", 1, "do every run so many times")
	keep   = flag.Bool("keep", false, "keep the directories of runs that were right, too")
)

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
	caught, runs int
}

func TestSelftest(t *testing.T) {
	ctx, stop := whole(t)
	suite := build(t)
	record := make([]row, 0, len(targets)+len(harness))
	for _, s := range slices.Concat(targets, harness) {
		record = append(record, row{of: s})
	}
	// After the last of the subtests, also when they were interrupted.
	t.Cleanup(func() {
		defer stop()
		t.Logf("the track record:\n%s", table(record))
		if ctx.Err() != nil {
			t.Error("not done to its end: ", context.Cause(ctx))
		}
	})
	for i := range record {
		r := &record[i]
		t.Run(r.of.name, func(t *testing.T) {
			t.Parallel()
			r.repeat(ctx, t, suite)
			if !r.of.enough(r.caught, r.runs) {
				t.Errorf("right in %d of %d runs; see it with: %s %s", r.caught, r.runs, makeRun, r.of.with())
			}
		})
	}
}

// whole returns the time of the whole test: until an interrupt, or shortly before go test's own limit, after which nothing is printed.
func whole(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, stop := signal.NotifyContext(context.WithoutCancel(t.Context()), os.Interrupt, syscall.SIGTERM)
	if deadline, ok := t.Deadline(); ok {
		const toStop = 2 * time.Minute
		limited, cancel := context.WithDeadline(ctx, deadline.Add(-toStop))
		return limited, func() { cancel(); stop() }
	}
	return ctx, stop
}

// repeat does the row's runs. One that is interrupted does not count.
func (r *row) repeat(ctx context.Context, t *testing.T, suite binary) {
	t.Helper()
	for n := range *repeat {
		o := suite.run(ctx, t, r.of)
		if ctx.Err() != nil {
			return
		}
		r.runs++
		by, err := r.of.caught(o)
		if err != nil {
			t.Logf("run %d of %d: NOT RIGHT: %v; everything is in %s", n+1, *repeat, err, o.dir)
			continue
		}
		r.caught++
		t.Logf("run %d of %d: %s", n+1, *repeat, by)
		if r.of.healthy() {
			notTaken(t, o)
		}
		if *keep {
			continue
		}
		if err := os.RemoveAll(o.dir); err != nil {
			t.Error(err)
		}
	}
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

const makeRun = "make run SUITE=./suites/ha"

// table is the track record as README.md has it, without the rows that have no run.
func table(record []row) string {
	var text strings.Builder
	fmt.Fprintf(&text, "| defect | caught by, and who is to blame | `%s` with | caught / runs |\n|---|---|---|---|\n", makeRun)
	for _, r := range record {
		by, counts := r.of.want.says, fmt.Sprintf("%d / %d", r.caught, r.runs)
		switch {
		case r.runs == 0:
			continue
		case r.of.healthy():
			counts = fmt.Sprintf("%d false alarms / %d", r.runs-r.caught, r.runs)
		case r.of.want.judge != "":
			by = fmt.Sprintf("`%s`, %s: %s", r.of.want.judge, r.of.want.blame, by)
		}
		fmt.Fprintf(&text, "| %s | %s | `%s` | %s |\n", r.of.name, by, r.of.with(), counts)
	}
	return text.String()
}
