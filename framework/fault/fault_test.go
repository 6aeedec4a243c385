package fault_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/fault"
	"github.com/cutset-dev/cutset/framework/fault/faulttest"
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
		faulttest.WaitFor(t, 5*time.Second, "the server to run", func(ctx context.Context) (bool, string, error) {
			o, err := i.Server().Observe(ctx)
			return o.State == provider.Running, o.Seen, err
		})
	}
	return c
}

func TestKinds(t *testing.T) {
	faulttest.Kinds(t, func(t *testing.T) faulttest.Bed {
		t.Helper()
		return faulttest.Bed{
			Cluster: cluster(t), Machines: [2]string{"m1", "m2"}, Instances: [2]string{"s1-m1", "s1-m2"}, Patience: 5 * time.Second,
		}
	})
}

func TestByName(t *testing.T) {
	if _, err := fault.ByName(faultcalc.LevelMachine, "server-kill"); err == nil {
		t.Error("found a kind at a level that does not have it")
	}
	if k, err := fault.ByName(faultcalc.LevelInstance, "hang"); err != nil || !k.Down {
		t.Error(k, err)
	}
	c := cluster(t)
	for _, k := range fault.Kinds() {
		if _, err := k.On(c, "m9"); err == nil {
			t.Errorf("%s on a node that there is not", k.Name)
		}
	}
}

// A dead supervisor alone is no proof: its server has to go on.
func TestSupervisorKillLeavesTheServer(t *testing.T) {
	c := cluster(t)
	kind, err := fault.ByName(faultcalc.LevelInstance, "supervisor-kill")
	if err != nil {
		t.Fatal(err)
	}
	f, err := kind.On(c, "s1-m1")
	if err != nil {
		t.Fatal(err)
	}
	instance, err := c.Instance("s1-m1")
	if err != nil {
		t.Fatal(err)
	}
	before, err := instance.Server().Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Inject(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := instance.Server().Observe(t.Context()); err != nil || after.Generation != before.Generation {
		t.Errorf("the server was %s, and is %s, %v", before.Generation, after.Generation, err)
	}
	if err := instance.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if active, seen, err := f.Active(t.Context()); active || err != nil {
		t.Error("active without a server: ", seen, err)
	}
	if err := f.Inject(t.Context()); err == nil {
		t.Error("injected without a server")
	}
}
