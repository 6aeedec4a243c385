package resource

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, files)
	return root
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func near(t *testing.T, what string, got float64, err error, want float64) {
	t.Helper()
	if err != nil || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: %v, %v, want %v", what, got, err, want)
	}
}

func TestCgroup2(t *testing.T) {
	const dir = "sys/fs/cgroup/pod/"
	root := tree(t, map[string]string{
		"proc/self/cgroup":                 "0::/pod\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu io memory\n",
		dir + "cpu.max":                    "150000 100000\n",
		dir + "cpu.stat":                   "usage_usec 2500000\nuser_usec 1\n",
		dir + "memory.max":                 "1000\n",
		dir + "memory.current":             "900\n",
		dir + "memory.stat":                "anon 1\ninactive_file 200\n",
		dir + "io.pressure":                "some avg10=0.00 avg60=0.00 avg300=0.00 total=4000000\nfull avg10=0 total=1\n",
	})
	g := findCgroup(root)
	if g.name != "cgroup2" {
		t.Fatalf("found %+v, want cgroup2", g)
	}
	v, err := g.cpuLimit()
	near(t, "cpu limit", v, err, 1.5)
	v, err = g.cpuSeconds()
	near(t, "cpu seconds", v, err, 2.5)
	v, err = g.memoryIdle()
	near(t, "memory idle", v, err, .3)
	v, err = g.pressure(root, "io")
	near(t, "io pressure", v, err, 4)
	write(t, root, map[string]string{dir + "cpu.max": "max 100000\n", dir + "memory.max": "max\n"})
	if _, err := g.cpuLimit(); !errors.Is(err, errUnlimited) {
		t.Errorf("cpu.max max: %v", err)
	}
	if _, err := g.memoryIdle(); !errors.Is(err, errUnlimited) {
		t.Errorf("memory.max max: %v", err)
	}
}

func TestCgroup1(t *testing.T) {
	const cpu, acct, memory = "sys/fs/cgroup/cpu/", "sys/fs/cgroup/cpuacct/", "sys/fs/cgroup/memory/a/"
	root := tree(t, map[string]string{
		"proc/self/cgroup":               "4:memory:/a\n2:cpuacct:/\n1:cpu:/host/path/not/visible\n0::/\n",
		cpu + "cpu.cfs_quota_us":         "200000\n",
		cpu + "cpu.cfs_period_us":        "100000\n",
		acct + "cpuacct.usage":           "3000000000\n",
		memory + "memory.limit_in_bytes": "1000\n", memory + "memory.usage_in_bytes": "500\n",
		memory + "memory.stat": "total_inactive_file 100\n",
		"proc/pressure/io":     "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n",
	})
	g := findCgroup(root)
	if g.name != "cgroup1" {
		t.Fatalf("found %+v, want cgroup1", g)
	}
	v, err := g.cpuLimit()
	near(t, "cpu limit", v, err, 2)
	v, err = g.cpuSeconds()
	near(t, "cpu seconds", v, err, 3)
	v, err = g.memoryIdle()
	near(t, "memory idle", v, err, .6)
	v, err = g.pressure(root, "io")
	near(t, "io pressure", v, err, 1)
	write(t, root, map[string]string{cpu + "cpu.cfs_quota_us": "-1\n", memory + "memory.limit_in_bytes": "9223372036854771712\n"})
	if _, err := g.cpuLimit(); !errors.Is(err, errUnlimited) {
		t.Errorf("quota -1: %v", err)
	}
	if _, err := g.memoryIdle(); !errors.Is(err, errUnlimited) {
		t.Errorf("no memory limit: %v", err)
	}
}

// Without cgroups, PSI or anything else, the host's counters are what is left. Scenario 19.
func TestNothingThere(t *testing.T) {
	h := newHost(t.TempDir())
	for name, s := range map[string]Source{"cpu": h.cpu(), "memory": h.memory(), "io": h.io()} {
		idle, source, err := s.Read(t.Context())
		if err != nil || source != "host" || idle < 0 || idle > 1 {
			t.Errorf("%s: %v from %q, %v, want a share from the host", name, idle, source, err)
		}
	}
}

// The narrowest bound wins: an idle host does not hide a container at its quota. Scenario 18.
func TestNarrowestBoundWins(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/self/cgroup":                 "0::/\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
		"sys/fs/cgroup/memory.max":         "1000\n",
		"sys/fs/cgroup/memory.current":     "980\n",
		"sys/fs/cgroup/io.pressure":        "some avg10=0.00 total=0\n",
	})
	h := newHost(root)
	idle, source, err := h.memory().Read(t.Context())
	near(t, "memory", idle, err, .02)
	if source != "cgroup2" {
		t.Errorf("memory from %q, want cgroup2", source)
	}
	// One second, all of it stalled.
	r := rate{read: func() (float64, error) { return h.groups.pressure(root, "io") }}
	now := time.Now()
	if _, err := r.next(now); !errors.Is(err, errFirst) {
		t.Errorf("first reading: %v", err)
	}
	write(t, root, map[string]string{"sys/fs/cgroup/io.pressure": "some avg10=0.00 total=1000000\n"})
	v, err := r.next(now.Add(time.Second))
	near(t, "io stall", v, err, 1)
}

// fake is a source that says what it is told, and may hang.
type fake struct {
	idle  atomic.Uint64 // bits of a float64
	hang  chan struct{}
	stuck atomic.Bool
	reads atomic.Int32
}

func newFake() *fake {
	f := &fake{hang: make(chan struct{})}
	f.set(1)
	return f
}

func (f *fake) set(idle float64) { f.idle.Store(math.Float64bits(idle)) }

func (f *fake) Read(context.Context) (float64, string, error) {
	f.reads.Add(1)
	if f.stuck.Load() {
		<-f.hang
	}
	return math.Float64frombits(f.idle.Load()), "fake", nil
}

func TestScarcity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpu, memory, io := newFake(), newFake(), newFake()
		m := Start(Options{CPU: cpu, Memory: memory, IO: io})
		defer m.Stop()
		for _, c := range []struct {
			cpu, memory, io, want float64
			resource              string
		}{
			{1, 1, 1, 0, ""},
			{.5, .2, .5, 0, ""},
			{.3, 1, 1, .4, "cpu"},
			{.05, 1, 1, .9, "cpu"},
			{.3, .02, 1, .9, "memory"},
			{.3, .2, 0, 1, "io"},
		} {
			cpu.set(c.cpu)
			memory.set(c.memory)
			io.set(c.io)
			<-time.After(1100 * time.Millisecond)
			if got := m.Load(); math.Abs(got.Scarcity-c.want) > 1e-9 || got.Resource != c.resource {
				t.Errorf("%+v: got %+v", c, got)
			}
		}
	})
}

func TestNormalizedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpu := newFake()
		m := Start(Options{CPU: cpu, Memory: newFake(), IO: newFake()})
		defer m.Stop()
		<-time.After(10 * time.Second)
		if got := m.Normalized(); got != 10*time.Second {
			t.Errorf("idle: %v passed, want 10 s", got)
		}
		cpu.set(0)
		<-time.After(1 * time.Second) // the next sample
		before := m.Normalized()
		<-time.After(8 * time.Second)
		if got := m.Normalized() - before; got != 2*time.Second {
			t.Errorf("scarce: %v passed in 8 s, want 2 s", got)
		}
	})
}

// A read that hangs doesn't stall the others; its value ages, and is not taken for idle; at most one goroutine
// is left behind. Scenario 19.
func TestStuckRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cpu, memory, io := newFake(), newFake(), newFake()
		m := Start(Options{CPU: cpu, Memory: memory, IO: io})
		io.stuck.Store(true)
		cpu.set(.4)
		<-time.After(3 * time.Second)
		if got := m.Load(); math.Abs(got.Scarcity-.2) > 1e-9 {
			t.Errorf("cpu is not read while io hangs: %+v", got)
		}
		<-time.After(7 * time.Second)
		s := m.Snapshot()
		if s.Scarcity != staleScarcity || s.Resource != "io" || s.IO.Err == "" || s.Age(time.Now()) < 9*time.Second {
			t.Errorf("stale: %+v, age %v", s, s.Age(time.Now()))
		}
		if n := io.reads.Load(); n != 2 {
			t.Errorf("%d reads of the source that hangs, want 2", n)
		}
		if now := time.Now(); now.Sub(s.Time) > 2*time.Second {
			t.Errorf("the last sample is %v old", now.Sub(s.Time))
		}
		close(io.hang)
		<-time.After(2 * time.Second)
		if got := m.Load(); math.Abs(got.Scarcity-.2) > 1e-9 {
			t.Errorf("after the read returned: %+v", got)
		}
		m.Stop()
	})
}

func TestThisMachine(t *testing.T) {
	m := Start(Options{Interval: 10 * time.Millisecond})
	<-time.After(50 * time.Millisecond)
	m.Stop()
	s := m.Snapshot()
	for name, r := range map[string]Reading{"cpu": s.CPU, "memory": s.Memory, "io": s.IO} {
		if r.Err != "" || r.Source == "" || r.At.IsZero() {
			t.Errorf("%s: %+v", name, r)
		}
	}
	t.Logf("%+v", s)
}

func BenchmarkSample(b *testing.B) {
	m := Start(Options{Interval: time.Hour})
	defer m.Stop()
	for b.Loop() {
		m.sample(b.Context())
	}
}

func BenchmarkRead(b *testing.B) {
	m := Start(Options{})
	m.Stop()
	for b.Loop() {
		if m.Load().Scarcity > 1 {
			b.Fatal("scarcity above 1")
		}
	}
}
