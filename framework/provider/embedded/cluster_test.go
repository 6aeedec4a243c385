package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/owner"
)

// The test binary is also the program that the tests place on machines: a supervisor whose
// server, a child, answers on an address.
const serveEnv = "CUTSET_TEST_SERVE"

// With abandonEnv, the test binary is a run without a world that is killed while a node is failed: the value is its state file.
const abandonEnv = "CUTSET_TEST_ABANDON"

func TestMain(m *testing.M) {
	if address := os.Getenv(serveEnv); address != "" {
		serve(address)
	}
	if state := os.Getenv(abandonEnv); state != "" {
		abandon(state)
	}
	mode := Mode(os.Getenv("CUTSET_WORLD"))
	if mode == "" {
		mode = Auto
	}
	if err := Enter(mode); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serve(address string) {
	for range 4 * len(os.Getenv("CUTSET_TEST_FORK")) { // threads that do nothing but start programs
		go func() {
			for {
				_ = exec.Command("/bin/true").Run() //nolint:noctx // short
			}
		}()
	}
	if os.Getenv("CUTSET_TEST_SUPERVISE") != "" {
		_ = os.Unsetenv("CUTSET_TEST_SUPERVISE")
		fmt.Fprintln(os.Stderr, "supervising")
		for {
			server := exec.Command("/proc/self/exe") //nolint:noctx // lives until it is killed
			server.Args[0] = "server"
			_ = server.Run()
		}
	}
	listener, err := net.Listen("tcp", address) //nolint:noctx // lives until it is killed
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
		}
	}
}

// open makes a cluster of three machines with a server on the first.
func open(t *testing.T) (c *Cluster, address string) {
	t.Helper()
	dir := t.TempDir()
	c, err := Open(t.Context(), Options{
		Run: fmt.Sprintf("test-%d", os.Getpid()), Machines: []string{"m1", "m2", "m3"},
		Logs: dir, State: filepath.Join(dir, "machines.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	address = c.machines["m1"].address + ":4000"
	// On the machine's own disk, as the user that programs run as may not enter where the test was built.
	exe, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(exe) //nolint:gosec // the test itself
	must(t, err)
	outside, inside, err := c.Disk("m1")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(outside, "program"), program, 0o755)) //nolint:gosec // it is run by another user
	must(t, c.own(filepath.Join(outside, "program")))
	err = c.Place(t.Context(), provider.Spec{
		Name: "s1-m1", Machine: "m1", Args: []string{filepath.Join(inside, "program")}, Server: "exe",
		Env: []string{serveEnv + "=" + address, "CUTSET_TEST_SUPERVISE=yes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return c.machines["m2"].reach(t.Context(), address) })
	return c, address
}

// The log of an instance goes on where it is started again.
func TestLog(t *testing.T) {
	c, _ := open(t)
	says := func(want string) func() error {
		return func() error {
			log, err := c.Log("s1-m1")
			if err != nil {
				return err
			}
			defer log.Close() //nolint:errcheck // read only
			got, err := io.ReadAll(log)
			if err == nil && string(got) != want {
				err = fmt.Errorf("the log says %q, want %q", got, want)
			}
			return err
		}
	}
	eventually(t, says("supervising\n"))
	i, err := c.Instance("s1-m1")
	must(t, err)
	must(t, i.Crash(t.Context()))
	must(t, i.Start(t.Context()))
	eventually(t, says("supervising\nsupervising\n"))
	if _, err := c.Log("s1-m9"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log of an instance that there is not: %v", err)
	}
}

// eventually waits until check passes and says what it saw last if it never does.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("waited 5 s, saw last: ", err)
		case <-tick.C:
		}
	}
}

func wantState(t *testing.T, n provider.Node, want provider.State) provider.Observation {
	t.Helper()
	o, err := n.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.State != want {
		t.Errorf("%s is %s (%s), want %s", n.Name(), o.State, o.Seen, want)
	}
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every step twice: each is idempotent. The check before each step is its negative control.
func TestFailAndBringBack(t *testing.T) {
	c, address := open(t)
	m1, _ := c.Machine("m1")
	i1, err := c.Instance("s1-m1")
	must(t, err)
	for _, node := range []provider.Node{m1, i1} {
		before := wantState(t, node, provider.Running)
		for range 2 {
			must(t, node.Hang(t.Context()))
			wantState(t, node, provider.Hung)
		}
		for range 2 {
			must(t, node.Resume(t.Context()))
			if after := wantState(t, node, provider.Running); after.Generation != before.Generation {
				t.Errorf("%s hung and went on as %s, was %s", node.Name(), after.Generation, before.Generation)
			}
		}
		for range 2 {
			must(t, node.Crash(t.Context()))
			wantState(t, node, provider.Dead)
		}
		if err := c.machines["m2"].reach(t.Context(), address); err == nil {
			t.Errorf("%s crashed, and its server still answers", node.Name())
		}
		for range 2 {
			must(t, node.Start(t.Context()))
		}
		eventually(t, func() error { return c.machines["m2"].reach(t.Context(), address) })
		if after := wantState(t, node, provider.Running); after.Generation == before.Generation {
			t.Errorf("%s crashed and started, and is still %s", node.Name(), after.Generation)
		}
	}
}

// A program of many threads that forks all the time is caught whole, however its threads and children stand.
func TestHangCatchesWhatForks(t *testing.T) {
	c, _ := open(t)
	_, inside, err := c.Disk("m1")
	must(t, err)
	must(t, c.Place(t.Context(), provider.Spec{
		Name: "forker", Machine: "m1", Args: []string{filepath.Join(inside, "program")},
		Env: []string{serveEnv + "=" + c.machines["m1"].address + ":4001", "CUTSET_TEST_FORK=y"},
	}))
	eventually(t, func() error { return c.machines["m2"].reach(t.Context(), c.machines["m1"].address+":4001") })
	forker, err := c.Instance("forker")
	must(t, err)
	for range 100 {
		must(t, forker.Hang(t.Context()))
		first := wantState(t, forker, provider.Hung)
		if again := wantState(t, forker, provider.Hung); again.Seen != first.Seen {
			t.Errorf("a hung program went from %s to %s", first.Seen, again.Seen)
		}
		must(t, forker.Resume(t.Context()))
	}
}

func TestServerFailsWithoutItsSupervisor(t *testing.T) {
	c, _ := open(t)
	i1, err := c.Instance("s1-m1")
	must(t, err)
	before := wantState(t, i1.Server(), provider.Running)
	must(t, i1.Server().Hang(t.Context()))
	wantState(t, i1, provider.Partial)
	must(t, i1.Server().Resume(t.Context()))
	must(t, i1.Server().Crash(t.Context()))
	eventually(t, func() error { // its supervisor starts another
		o, err := i1.Server().Observe(t.Context())
		if err == nil && (o.State != provider.Running || o.Generation == before.Generation) {
			err = fmt.Errorf("%s, %s", o.State, o.Generation)
		}
		return err
	})
}

func TestIsolate(t *testing.T) {
	c, address := open(t)
	if why := c.Unsupported("machine", "isolate"); why != "" {
		if err := c.machines["m1"].Isolate(t.Context()); err == nil {
			t.Error("a machine that can't be isolated was: ", why)
		}
		t.Skip(why)
	}
	isolated := func(name string) bool {
		t.Helper()
		yes, seen, err := c.machines[name].Isolated(t.Context())
		must(t, err)
		t.Logf("%s: isolated %v; %s", name, yes, seen)
		return yes
	}
	if isolated("m1") {
		t.Error("m1 is isolated before it was")
	}
	for range 2 {
		must(t, c.machines["m1"].Isolate(t.Context()))
		if !isolated("m1") || isolated("m2") {
			t.Error("m1 was to be isolated, and m2 was not")
		}
	}
	conn, err := c.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Error("m1 is isolated from its peers, and a client can't reach it: ", err)
	} else {
		must(t, conn.Close())
	}
	must(t, c.machines["m2"].Isolate(t.Context()))
	for range 2 {
		must(t, c.machines["m1"].Rejoin(t.Context()))
		if isolated("m1") || !isolated("m2") {
			t.Error("m1 was to rejoin, and m2 to stay isolated")
		}
	}
	must(t, c.machines["m2"].Rejoin(t.Context()))
	if isolated("m2") {
		t.Error("m2 rejoined, and is still isolated")
	}
}

// A machine's disk is its own, and survives a crash.
func TestDiskSurvivesCrash(t *testing.T) {
	c, _ := open(t)
	outside, _, err := c.Disk("m1")
	must(t, err)
	file := filepath.Join(outside, "s1-m1", "kept")
	must(t, os.WriteFile(file, []byte("data"), 0o600))
	m1, _ := c.Machine("m1")
	must(t, m1.Crash(t.Context()))
	must(t, m1.Start(t.Context()))
	text, err := os.ReadFile(file) //nolint:gosec // made above
	must(t, err)
	if diff := cmp.Diff("data", string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownNodes(t *testing.T) {
	c, _ := open(t)
	if _, err := c.Machine("m9"); err == nil {
		t.Error("found a machine that there is not")
	}
	if _, err := c.Instance("s9"); err == nil {
		t.Error("found an instance that there is not")
	}
	if err := c.Place(t.Context(), provider.Spec{Name: "s1-m1", Machine: "m1"}); err == nil {
		t.Error("placed an instance under a name that is taken")
	}
}

func abandon(state string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	fail(Enter(Loopback))
	c, err := Open(ctx, Options{Run: fmt.Sprintf("abandoned-%d", os.Getpid()), Machines: []string{"m1", "m2"}, Logs: filepath.Dir(state), State: state})
	fail(err)
	for _, m := range c.Machines() {
		fail(c.Place(ctx, provider.Spec{Name: "s1-" + m, Machine: m, Args: []string{"/bin/sleep", "1000"}}))
	}
	fail(c.machines["m1"].Hang(ctx))
	fail(c.machines["m2"].Crash(ctx))
	os.Exit(0)
}

// What a killed run left failed can be healed by another process, and removed.
func TestReopen(t *testing.T) {
	if yes, _ := inWorld(); yes {
		t.Skip("a world ends with its run, so there is nothing to heal; CUTSET_WORLD=loopback runs this test")
	}
	state := filepath.Join(t.TempDir(), "machines.json")
	killed := exec.CommandContext(t.Context(), "/proc/self/exe")
	killed.Env = []string{abandonEnv + "=" + state, "PATH=" + os.Getenv("PATH")}
	killed.Stderr = os.Stderr
	must(t, killed.Run())

	c, err := Reopen(state)
	must(t, err)
	m1, m2 := c.machines["m1"], c.machines["m2"]
	wantState(t, m1, provider.Hung)
	wantState(t, m2, provider.Dead)
	must(t, m1.Resume(t.Context()))
	must(t, m2.Start(t.Context()))
	wantState(t, m1, provider.Running)
	wantState(t, m2, provider.Running)
	must(t, c.Close(t.Context()))
	wantState(t, m1, provider.Dead)
	wantState(t, m2, provider.Dead)
	for _, left := range []string{c.base, state} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

func TestReopenRefusesWhatStillRuns(t *testing.T) {
	c, _ := open(t)
	want := owner.ErrRunning
	if c.network != nil {
		want = ErrGone // its owner is seen from outside of the world
	}
	if _, err := Reopen(c.options.State); !errors.Is(err, want) && !errors.Is(err, owner.ErrRunning) {
		t.Errorf("got %v, want %v", err, want)
	}
}
