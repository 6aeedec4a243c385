package nodemetrics_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
	"github.com/cutset-dev/cutset/executor/resource/nodemetrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster answers as kube-apiserver and metrics-server do; the texts are as these write them.
type cluster struct {
	*httptest.Server
	mu     sync.Mutex
	usage  map[string][2]string // cpu and memory
	at     int                  // the timestamp of all metrics, in seconds
	old    bool                 // there are no new measurements
	fails  bool
	silent atomic.Bool
	lists  atomic.Int32 // of nodes
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := startCluster()
	t.Cleanup(c.Close)
	return c
}

func startCluster() *cluster {
	c := &cluster{usage: map[string][2]string{"node-a": {"400m", "1Gi"}, "node-b": {"400000000n", "1048576Ki"}}}
	c.Server = httptest.NewServer(c)
	return c
}

// config has no limit of requests: the tests' rounds are faster than real ones.
func (c *cluster) config() *rest.Config { return &rest.Config{Host: c.URL, QPS: -1} }

func (c *cluster) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if c.silent.Load() {
		<-req.Context().Done()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case c.fails:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server is currently unable to handle the request (get nodes.metrics.k8s.io)","reason":"ServiceUnavailable","code":503}`)
	case req.URL.Path == "/apis/metrics.k8s.io/v1beta1/nodes":
		if !c.old {
			c.at++
		}
		var items []string
		for name, u := range c.usage {
			items = append(items, fmt.Sprintf(`{"metadata":{"name":%q,"creationTimestamp":"2026-01-05T10:00:00Z","labels":{"kubernetes.io/os":"linux"}},`+
				`"timestamp":"2026-01-05T10:%02d:%02dZ","window":"20.043s","usage":{"cpu":%q,"memory":%q}}`, name, c.at/60, c.at%60, u[0], u[1]))
		}
		_, _ = fmt.Fprintf(w, `{"kind":"NodeMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[%s]}`, strings.Join(items, ","))
	case req.URL.Path == "/api/v1/nodes":
		c.lists.Add(1)
		var items []string
		for name := range c.usage {
			items = append(items, fmt.Sprintf(`{"metadata":{"name":%q,"uid":"x"},"spec":{"podCIDR":"10.244.0.0/24"},"status":{`+
				`"capacity":{"cpu":"3","memory":"5Gi","pods":"110"},"allocatable":{"cpu":"2","ephemeral-storage":"9","memory":"4194304Ki","pods":"110"}}}`, name))
		}
		_, _ = fmt.Fprintf(w, `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[%s]}`, strings.Join(items, ","))
	case req.URL.Path == "/api/v1/namespaces/db/pods":
		_, _ = io.WriteString(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[`+
			`{"metadata":{"name":"pg-0","namespace":"db"},"spec":{"nodeName":"node-a","containers":[{"name":"postgres"}]},"status":{"phase":"Running"}},`+
			`{"metadata":{"name":"pg-1","namespace":"db"},"spec":{"containers":[{"name":"postgres"}]},"status":{"phase":"Pending"}}]}`)
	default:
		http.NotFound(w, req)
	}
}

// measure changes what the next measurement of a node says.
func (c *cluster) measure(node, cpu, memory string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usage[node] = [2]string{cpu, memory}
}

const interval = 20 * time.Millisecond

func start(t *testing.T, o nodemetrics.Options) *nodemetrics.Monitor {
	t.Helper()
	o.Interval = interval
	m, err := nodemetrics.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	return m
}

// becomes waits for the load of a target.
func becomes(t *testing.T, m *nodemetrics.Monitor, target string, scarcity float64, resource string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(5 * time.Millisecond) {
		got := m.TargetLoad(target)
		if math.Abs(got.Scarcity-scarcity) < 1e-6 && got.Resource == resource {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %+v, want %v of %q; %+v", target, got, scarcity, resource, m.Snapshot())
		}
	}
}

type fixed float64

func (f fixed) Load() executor.Load { return executor.Load{Scarcity: float64(f), Resource: "io"} }

func TestLoadOfNodes(t *testing.T) {
	c := newCluster(t)
	m := start(t, nodemetrics.Options{REST: c.config(), Namespaces: []string{"db"}, Local: fixed(.1)})
	c.measure("node-a", "1400m", "1Gi") // 30 % of the allocatable CPU is idle
	becomes(t, m, "node-a", .4, "cpu")
	becomes(t, m, "db/pg-0", .4, "cpu")
	becomes(t, m, podexec.Target{Namespace: "db", Pod: "pg-0", Container: "postgres"}.String(), .4, "cpu")
	becomes(t, m, "node-b", 0, "")
	c.measure("node-a", "1423971352n", "4110418Ki") // 2 % of the memory
	becomes(t, m, "db/pg-0", .9, "memory")
	for _, unknown := range []string{"", "db/pg-1", "db/pg-9/postgres", "other/pg-0", "node-z"} {
		if got := m.TargetLoad(unknown); got != (executor.Load{}) {
			t.Errorf("%q: %+v, want nothing", unknown, got)
		}
	}
	if got := m.Load(); got.Scarcity != .1 || got.Resource != "io" {
		t.Errorf("this machine: %+v", got)
	}
	lists := c.lists.Load()
	c.measure("node-c", "2", "1Gi") // new in the cluster: its size is asked for at once
	becomes(t, m, "node-c", 1, "cpu")
	if n := c.lists.Load() - lists; n < 1 {
		t.Errorf("%d lists of nodes for a new node", n)
	}
	c.mu.Lock()
	delete(c.usage, "node-c")
	c.mu.Unlock()
	becomes(t, m, "node-c", 0, "")
	other := start(t, nodemetrics.Options{REST: c.config(), NodeOf: func(target string) string { return strings.TrimPrefix(target, "vm:") }})
	becomes(t, other, "vm:node-a", .9, "memory")
}

// What cannot be measured any more keeps its value, and is not taken to be idle: whether the API fails, or goes on
// to tell an old measurement.
func TestAge(t *testing.T) {
	for name, fails := range map[string]bool{"fails": true, "old": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			m := start(t, nodemetrics.Options{REST: c.config()})
			c.measure("node-b", "1900m", "1Gi")
			becomes(t, m, "node-a", 0, "")
			becomes(t, m, "node-b", .9, "cpu")
			c.mu.Lock()
			c.fails, c.old = fails, !fails
			c.mu.Unlock()
			becomes(t, m, "node-a", .5, "unknown")
			becomes(t, m, "node-b", .9, "cpu")
			if s := m.Snapshot(); fails != strings.Contains(s.Err, "unable to handle the request") {
				t.Errorf("snapshot says %q", s.Err)
			}
			c.mu.Lock()
			c.fails, c.old = false, false
			c.mu.Unlock()
			c.measure("node-b", "0", "0")
			becomes(t, m, "node-b", 0, "")
		})
	}
}

// A server that never answers delays nothing: neither Start, nor a command, nor Stop.
func TestSilentServer(t *testing.T) {
	c := newCluster(t)
	c.silent.Store(true)
	began := time.Now()
	m, err := nodemetrics.Start(nodemetrics.Options{REST: c.config()})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.TargetLoad("node-a"); got != (executor.Load{}) {
		t.Errorf("got %+v of a node that nobody measured", got)
	}
	m.Stop()
	if took := time.Since(began); took > 4*time.Second { // a round of requests gets 5 s
		t.Errorf("took %v", took)
	}
	if _, err := nodemetrics.Start(nodemetrics.Options{}); err == nil {
		t.Error("no cluster: no error")
	}
}

// The load of a node stretches the timeouts of commands to its pods, and of no others.
func TestInAnExecutor(t *testing.T) {
	c := newCluster(t)
	m := start(t, nodemetrics.Options{REST: c.config(), Namespaces: []string{"db"}})
	c.measure("node-a", "1900m", "1Gi")
	becomes(t, m, "db/pg-0", .9, "cpu")
	ex, err := executor.New([]executor.Class{{Name: "c", Weight: 1, MaxParallel: 1, Timeout: executor.Timeout{Base: time.Second}}},
		executor.WithMonitor(m), executor.WithTuning(executor.Tuning{Jitter: -1}), executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]time.Duration{"db/pg-0": 7400 * time.Millisecond, "node-b": 2 * time.Second} {
		why := ""
		got, err := executor.Do(t.Context(), ex, executor.Command[time.Duration]{
			Class: "c", Target: target,
			Run: func(_ context.Context, a executor.Attempt) (time.Duration, error) {
				why = a.Why()
				return a.Timeout, nil
			},
		})
		if err != nil || (got-want).Abs() > time.Millisecond {
			t.Errorf("%s: %v, %v, want %v: %s", target, got, err, want, why)
		}
		if told := strings.Contains(why, "target cpu scarcity 0.90"); told != (target == "db/pg-0") {
			t.Errorf("%s: %s", target, why)
		}
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
