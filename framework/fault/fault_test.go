package fault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/embedded"
)

func TestMain(m *testing.M) {
	if err := embedded.Enter(embedded.Auto); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func cluster(t *testing.T) provider.Cluster {
	t.Helper()
	dir := t.TempDir()
	c, err := embedded.Open(t.Context(), embedded.Options{
		Run: fmt.Sprintf("fault-%d", os.Getpid()), Machines: []string{"m1", "m2", "m3"}, Logs: dir, State: filepath.Join(dir, "machines.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	for _, m := range []string{"m1", "m2"} {
		err := c.Place(t.Context(), provider.Spec{
			Name: "s1-" + m, Machine: m, Server: "sleep", Env: []string{"PATH=" + os.Getenv("PATH")},
			Args: []string{"/bin/sh", "-c", "while :; do sleep 1000; done"}, // a supervisor with a server
		})
		if err != nil {
			t.Fatal(err)
		}
		i, err := c.Instance("s1-" + m)
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the server to run", func() (bool, string, error) { return inState(t.Context(), i.Server(), provider.Running) })
	}
	return c
}

// TestKinds holds every kind to its contract: not active before, active once it is injected, again and
// again, and not after it was healed, by another value than the one that injected it.
func TestKinds(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(string(kind.Level)+"/"+kind.Name, func(t *testing.T) {
			c := cluster(t)
			if why := c.Unsupported(kind.Level, kind.Name); why != "" {
				t.Skip(why)
			}
			node, other := "m1", "m2"
			if kind.Level == faultcalc.LevelInstance {
				node, other = "s1-m1", "s1-m2"
			}
			f, err := kind.On(c, node)
			if err != nil {
				t.Fatal(err)
			}
			bystander, err := kind.On(c, other)
			if err != nil {
				t.Fatal(err)
			}
			becomes(t, f, false)
			for range 2 {
				do(t, f.Inject)
				becomes(t, f, true)
				if active, seen, err := bystander.Active(t.Context()); active || err != nil {
					t.Errorf("%s on %s is active on %s: %s, %v", kind.Name, node, other, seen, err)
				}
			}
			stranger, err := kind.On(c, node)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				do(t, stranger.Heal)
				becomes(t, stranger, false)
			}
		})
	}
}

func do(t *testing.T, step func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := step(ctx); err != nil {
		t.Fatal(err)
	}
}

func becomes(t *testing.T, f Fault, want bool) {
	t.Helper()
	waitFor(t, fmt.Sprintf("the fault to be active: %v", want), func() (bool, string, error) {
		active, seen, err := f.Active(t.Context())
		return active == want, seen, err
	})
}

func waitFor(t *testing.T, what string, check func() (bool, string, error)) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen, err := check()
		if err == nil && ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited 5 s for %s; saw last: %s, %v", what, seen, err)
		case <-tick.C:
		}
	}
}

func TestByName(t *testing.T) {
	if _, err := ByName(faultcalc.LevelMachine, "server-kill"); err == nil {
		t.Error("found a kind at a level that does not have it")
	}
	if k, err := ByName(faultcalc.LevelInstance, "hang"); err != nil || !k.Down {
		t.Error(k, err)
	}
	c := cluster(t)
	for _, k := range Kinds() {
		if _, err := k.On(c, "m9"); err == nil {
			t.Errorf("%s on a node that there is not", k.Name)
		}
	}
}
