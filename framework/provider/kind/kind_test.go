package kind

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
	"github.com/cutset-dev/cutset/framework/fault/faulttest"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/existing"
	"github.com/cutset-dev/cutset/framework/provider/kube"
)

// These tests need a container engine, and a cluster of their own: see `make kind-test`.
var (
	nodeImage     = flag.String("node-image", "", "image of the nodes")
	databaseImage = flag.String("database-image", "", "image to run instances from; the tests are skipped without it")
)

// bed is a cluster with two instances, shared by the tests of this package, which run one after another.
var bed struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if bed.cluster != nil {
		if err := bed.cluster.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		if left := disksOf(bed.cluster.state.Name); exists(left) {
			fmt.Fprintln(os.Stderr, "the nodes' disks are left in", left)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func open(tb testing.TB) *Cluster {
	tb.Helper()
	if *databaseImage == "" {
		tb.Skip("needs -database-image; `make kind-test` gives it")
	}
	bed.once.Do(func() { bed.cluster, bed.err = openBed() })
	if bed.err != nil {
		tb.Fatal(bed.err)
	}
	return bed.cluster
}

func openBed() (*Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cutset-kind")
	if err != nil {
		return nil, err
	}
	c, err := Open(ctx, Options{
		Name: fmt.Sprintf("test-%d", os.Getpid()), Config: "../../../kind-config.yaml", Image: *nodeImage, Load: []string{*databaseImage},
		Machines: []string{"m1", "m2", "m3", "m4"}, State: filepath.Join(dir, "kind.json"),
		Kube: kube.Options{Namespace: "bed", Selector: "app=bed", Container: "server", Server: "sleep", Supervisor: "bash", Logs: dir},
	})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile("testdata/instances.yaml")
	if err == nil {
		err = c.Apply(ctx, bytes.ReplaceAll(text, []byte("IMAGE"), []byte(*databaseImage)))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	return c, nil
}

// instances waits until both instances run, and returns them with their machines.
func instances(t *testing.T, c *Cluster) (names, machines [2]string) {
	t.Helper()
	faulttest.WaitFor(t, 2*time.Minute, "two instances to run", func(ctx context.Context) (bool, string, error) {
		pods, err := c.Pods(ctx)
		if err != nil || len(pods) != 2 {
			return false, fmt.Sprintf("%d pods", len(pods)), err
		}
		for i, pod := range pods {
			names[i], machines[i] = pod.Name, pod.Machine
			if !pod.Ready {
				return false, pod.Name + " is not ready", nil
			}
		}
		return true, "", nil
	})
	return names, machines
}

func TestKinds(t *testing.T) {
	c := open(t)
	faulttest.Kinds(t, func(t *testing.T) faulttest.Bed {
		t.Helper()
		names, machines := instances(t, c)
		return faulttest.Bed{Cluster: c, Machines: machines, Instances: names, Patience: time.Minute}
	})
}

// A node is frozen under an exec that runs on it: nobody ends the stream. The attempt is given up at its deadline, it is
// counted and there is an alert, others go on, and when the node goes on nothing of it is left.
func TestPausedNodeUnderExec(t *testing.T) {
	c := open(t)
	names, machines := instances(t, c)
	before := goleak.IgnoreCurrent()
	client, err := podexec.New(podexec.Config{REST: c.REST(), NoSessions: true, NoRemoteTimeout: true})
	if err != nil {
		t.Fatal(err)
	}
	alerts := make(chan executor.Alert, 10)
	limit := executor.Timeout{Base: 4 * time.Second, Max: 4 * time.Second, Grace: time.Second}
	commands, err := executor.New([]executor.Class{{Name: "probe", Weight: 1, MaxParallel: 2, Timeout: limit, Tier: executor.TierCritical}},
		executor.WithSinks(executor.SinkFunc(func(a executor.Alert) { alerts <- a })))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Machine(machines[0])
	if err != nil {
		t.Fatal(err)
	}
	exec := func(pod string, args ...string) *executor.Future[podexec.Result] {
		command := client.Wrap(podexec.Command{Name: "exec", Class: "probe", Target: podexec.Target{Namespace: "bed", Pod: pod, Container: "server"}, Args: args})
		return executor.Submit(t.Context(), commands, command)
	}
	stuck := exec(names[0], "sh", "-c", "sleep 2; echo late; sleep 100")
	must(t, m.Hang(t.Context()))
	t.Cleanup(func() { must(t, m.Resume(context.WithoutCancel(t.Context()))) })
	if _, err := exec(names[1], "true").Wait(t.Context()); err != nil {
		t.Errorf("an exec on another node: %v", err)
	}
	if _, err := stuck.Wait(t.Context()); !errors.Is(err, executor.ErrTimeout) {
		t.Errorf("the exec on the frozen node: got %v, want ErrTimeout", err)
	}
	if a := <-alerts; a.Target != "bed/"+names[0]+"/server" {
		t.Errorf("got an alert about %q", a.Target)
	}
	if stats, _ := commands.Stats().Class("probe"); stats.GivenUp != 1 || stats.Timeouts != 1 || stats.Succeeded != 1 {
		t.Errorf("one given up at its timeout and one success were not counted: %+v", stats)
	}
	must(t, m.Resume(t.Context()))
	must(t, commands.Drain(t.Context()))
	must(t, client.Close(t.Context()))
	// An exec is HTTP/1.1 until it is upgraded; what the watches and the logs of the cluster have under way is HTTP/2.
	watches := goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientStream).doRequest")
	faulttest.WaitFor(t, 10*time.Second, "all goroutines to end", func(context.Context) (bool, string, error) { // client-go's heartbeat takes 5 s
		left := goleak.Find(before, watches)
		return left == nil, "", left
	})
}

// Where clients share no network with the nodes, they come through the API server.
func TestForwardedPort(t *testing.T) {
	c := open(t)
	instances(t, c)
	client := http.Client{Transport: &http.Transport{DialContext: c.Dial}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	faulttest.WaitFor(t, time.Minute, "an answer", func(ctx context.Context) (bool, string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://i-0.i.bed:8000/", nil)
		if err != nil {
			return false, "", err
		}
		response, err := client.Do(request)
		if err != nil {
			return false, "", err
		}
		return response.StatusCode == http.StatusOK, response.Status, response.Body.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := c.Dial(ctx, "tcp", "i-0.i.bed:8001") // nobody listens there
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		must(t, conn.Close())
	}
	if err == nil {
		t.Error("a port on which nobody listens answers")
	}
}

// A stranger's database can be looked at, and no more, until its namespace's name is repeated.
func TestExistingNeedsLeave(t *testing.T) {
	c := open(t)
	names, machines := instances(t, c)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(kubeconfig, c.state.Kubeconfig, 0o600))
	look := func(allow string) *existing.Cluster {
		e, err := existing.Open(t.Context(), existing.Options{
			Kubeconfig: kubeconfig, Allow: allow, Preset: existing.Preset{Name: "patroni"},
			Kube: kube.Options{Namespace: "bed", Selector: "app=bed", Server: "sleep", Logs: t.TempDir()},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { must(t, e.Close(context.WithoutCancel(t.Context()))) })
		return e
	}
	e := look("default")
	if got, want := e.Machines(), slices.Sorted(slices.Values(machines[:])); !slices.Equal(got, want) {
		t.Errorf("found machines %v, want %v", got, want)
	}
	if _, err := e.Instance(names[0]); !errors.Is(err, existing.ErrNotAllowed) {
		t.Errorf("an instance without leave: got %v, want ErrNotAllowed", err)
	}
	m, err := e.Machine(machines[0])
	if err != nil {
		t.Fatal(err)
	}
	drainable, _ := m.(provider.Drainable)
	if err := drainable.Drain(t.Context()); !errors.Is(err, existing.ErrNotAllowed) {
		t.Errorf("a drain without leave: got %v, want ErrNotAllowed", err)
	}
	if drained, seen, err := drainable.Drained(t.Context()); drained || err != nil {
		t.Errorf("after the drain that was refused: %s, %v", seen, err)
	}
	if _, err := look("bed").Instance(names[0]); err != nil {
		t.Errorf("with leave: %v", err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

// BenchmarkExec compares a command in a kept session with one in an exec request of its own, on a real pod.
func BenchmarkExec(b *testing.B) {
	c := open(b)
	for _, fresh := range []bool{false, true} {
		b.Run(map[bool]string{false: "session", true: "fresh"}[fresh], func(b *testing.B) {
			client, err := podexec.New(podexec.Config{REST: c.REST()})
			must(b, err)
			command := client.Wrap(podexec.Command{Class: "probe", Target: podexec.Target{Namespace: "bed", Pod: "i-0", Container: "server"}, Args: []string{"true"}, Fresh: fresh})
			attempt := executor.Attempt{Class: "probe", Timeout: 10 * time.Second, Connect: 5 * time.Second}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if _, err := command.Run(b.Context(), attempt); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			must(b, client.Close(b.Context()))
		})
	}
}
