// Package faulttest holds a provider and the fault kinds to their contract. Every provider's tests call it.
package faulttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/fault"
	"github.com/cutset-dev/cutset/framework/provider"
)

// Bed is a cluster to break: two nodes of each level, which run, and how long anything may take on it.
type Bed struct {
	Cluster             provider.Cluster
	Machines, Instances [2]string
	Patience            time.Duration
}

// Kinds injects and heals every kind that the cluster supports, each on a bed of its own. A kind is not active before, active
// once it was injected, again and again, on that node and no other, and not active after it was healed by another value than
// the one that injected it.
func Kinds(t *testing.T, bed func(*testing.T) Bed) {
	t.Helper()
	for _, kind := range fault.Kinds() {
		t.Run(string(kind.Level)+"/"+kind.Name, func(t *testing.T) {
			b := bed(t)
			if why := b.Cluster.Unsupported(kind.Level, kind.Name); why != "" {
				t.Skip(why)
			}
			nodes := b.Machines
			if kind.Level == faultcalc.LevelInstance {
				nodes = b.Instances
			}
			f, bystander, stranger := b.on(t, kind, nodes[0]), b.on(t, kind, nodes[1]), b.on(t, kind, nodes[0])
			t.Cleanup(func() { b.do(t, stranger.Heal) }) // also where it failed half-way
			b.becomes(t, f, false)
			for range 2 {
				b.do(t, f.Inject)
				b.becomes(t, f, true)
				active, seen, err := bystander.Active(t.Context())
				if active || err != nil {
					t.Errorf("%s on %s is active on %s: %s, %v", kind.Name, nodes[0], nodes[1], seen, err)
				}
			}
			for range 2 {
				b.do(t, stranger.Heal)
				b.becomes(t, stranger, false)
			}
		})
	}
}

func (b Bed) on(t *testing.T, kind fault.Kind, node string) fault.Fault {
	t.Helper()
	f, err := kind.On(b.Cluster, node)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (b Bed) do(t *testing.T, step func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), b.Patience)
	defer cancel()
	if err := step(ctx); err != nil {
		t.Fatal(err)
	}
}

func (b Bed) becomes(t *testing.T, f fault.Fault, want bool) {
	t.Helper()
	WaitFor(t, b.Patience, fmt.Sprintf("the fault to be active: %v", want), func(ctx context.Context) (bool, string, error) {
		active, seen, err := f.Active(ctx)
		return active == want, seen, err
	})
}

// WaitFor looks again and again until the check says yes, and fails the test when that takes too long.
func WaitFor(t *testing.T, patience time.Duration, what string, check func(context.Context) (ok bool, seen string, err error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen, err := check(ctx)
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s; saw last: %s, %v", patience, what, seen, err)
		case <-tick.C:
		}
	}
}
