package framework

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/alert"
	"github.com/cutset-dev/cutset/framework/fault"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
)

// deaf is a fault whose transport never answers and ignores that it is cancelled.
type deaf struct{ forever chan struct{} }

func (d deaf) Inject(context.Context) error { <-d.forever; return nil }
func (d deaf) Heal(context.Context) error   { <-d.forever; return nil }
func (d deaf) Active(context.Context) (active bool, seen string, err error) {
	<-d.forever
	return true, "", nil
}

// obedient is a fault that does what it is told.
type obedient struct{ active bool }

func (o *obedient) Inject(context.Context) error { o.active = true; return nil }
func (o *obedient) Heal(context.Context) error   { o.active = false; return nil }
func (o *obedient) Active(context.Context) (active bool, seen string, err error) {
	return o.active, "", nil
}

// A transport that never answers costs its own command its timeout, and nobody else anything.
func TestNothingBlocksTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record, err := history.Create(filepath.Join(t.TempDir(), "history.jsonl"), "r")
		if err != nil {
			t.Fatal(err)
		}
		r := &run{ledger: &ledger{record: record}, entries: alert.NewReport(), record: record, log: slog.New(slog.DiscardHandler)}
		if r.commands, err = executor.New(classes(), executor.WithSinks(r.ledger, r.entries), executor.WithObserver(r.ledger.attempt)); err != nil {
			t.Fatal(err)
		}
		d, o := deaf{make(chan struct{})}, &obedient{}
		k := &caseRun{run: r, Case: plan.Case{ID: "c", Kind: "hang", Nodes: []string{"m1", "m2"}}, faults: map[string]fault.Fault{"m1": d, "m2": o}}
		ctx := executor.WithScope(t.Context(), "c")

		var longest time.Duration // one command with all of its attempts
		for _, c := range r.commands.Classes() {
			longest = max(longest, time.Duration(1+c.Retry.Max)*(2*c.Timeout.Max))
		}
		began := time.Now()
		err = k.each(ctx, "fault", "inject hang", func(ctx context.Context, f fault.Fault) error { return f.Inject(ctx) })
		if !errors.Is(err, executor.ErrTimeout) {
			t.Errorf("the deaf member's injection ended with %v, want ErrTimeout", err)
		}
		if !o.active {
			t.Error("the other member of the set was not injected")
		}
		if k.look(ctx, "bit", true) {
			t.Error("a fault that can't be looked at counts as one that bit")
		}
		if err := k.each(ctx, "heal", "heal hang", func(ctx context.Context, f fault.Fault) error { return f.Heal(ctx) }); err == nil {
			t.Error("a heal that never answered succeeded")
		}
		if o.active {
			t.Error("the other member of the set was not healed")
		}
		if took := time.Since(began); took > 3*longest {
			t.Errorf("it took %s, want at most %s", took, 3*longest)
		}
		if err := r.commands.Flush(ctx); err != nil {
			t.Error(err)
		}
		tiers := map[string]executor.Tier{}
		_ = r.entries.Flush("c", func(e alert.Entry) {
			if e.Alert.Event == executor.EventGivenUp {
				tiers[e.Alert.Class] = e.Alert.Tier
			}
		})
		want := map[string]executor.Tier{"probe": executor.TierLow, "fault": executor.TierHigh, "heal": executor.TierCritical}
		if diff := cmp.Diff(want, tiers); diff != "" {
			t.Error("given-up commands by the tier of their alerts: ", diff)
		}
		close(d.forever)
		if err := r.commands.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := record.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Flags win over the environment, that over the suite, that over the defaults.
func TestPrecedence(t *testing.T) {
	suite := Suite{Name: "s", Kinds: []string{"crash"}, BudgetCases: 3, MaxSize: 2}
	t.Setenv("CUTSET_BUDGET_CASES", "5")
	t.Setenv("CUTSET_KINDS", "hang")
	var c config
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	c.register(flags)
	if err := fromEnvironment(flags); err != nil {
		t.Fatal(err)
	}
	if err := flags.Parse([]string{"-budget-cases=7"}); err != nil {
		t.Fatal(err)
	}
	got := c.with(suite)
	if got.budgetCases != 7 || got.kinds != "hang" || got.maxSize != 2 || got.levels != defaultLevels {
		t.Errorf("got %+v", got)
	}
	c.given(flags)
	if err := flags.Parse([]string{"-hold=20s", "-output=here"}); err != nil {
		t.Fatal(err)
	}
	if c.given(flags); !slices.Equal(c.matter, []string{"-hold=20s"}) {
		t.Errorf("what a case has to be done again with: %v", c.matter)
	}
	if again := (config{caseID: "s:crash:machine:m1@3"}).with(suite); again.caseID != "s:crash:machine:m1" {
		t.Errorf("to do the third repeat of a case again is to do the case again, got %s", again.caseID)
	}
	t.Setenv("CUTSET_HOLD", "long")
	if err := fromEnvironment(flags); err == nil {
		t.Error("CUTSET_HOLD=long was accepted")
	}
}

func TestBadConfiguration(t *testing.T) {
	for _, args := range [][]string{
		{"-provider=aws"},
		{"-world=flat"},
		{"-hold=-1s"},
		{"-budget-cases=-1"},
		{"-repeat=-1"},
		{"-budget-quantiles=p90=3s"},
		{"-budget-slowdown=0"},
		{"-budget-slowdown=-2"},
		{"-budget-slowdown=NaN"},
		{"-progress=fancy"},
		{"-watch=0.0.0.0:80"},
		{"-watch=192.0.2.1:80"},
		{"-watch=example.com:80"},
		{"-watch=:80"},
		{"-watch=127.0.0.1"},
	} {
		var c config
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		c.register(flags)
		if err := flags.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := c.check(); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var q quantiles
	if err := q.Set("p50=8s,p90=12s"); err != nil || q["p50"] != 8*time.Second || q.String() != "p50=8s,p90=12s" {
		t.Errorf("got %v, %v", q, err)
	}
	for _, bad := range []string{"p90", "p0=1s", "p101=1s", "90=1s", "p90=-1s", "p90=1", "p09=1s"} {
		if err := q.Set(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
