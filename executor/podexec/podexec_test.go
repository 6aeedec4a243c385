package podexec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/podexec"
)

var pod = podexec.Target{Namespace: "default", Pod: "pg-0", Container: "postgres"}

const (
	attemptTimeout = 500 * time.Millisecond
	// patience bounds the wait for what comes at once on an idle machine, and never if it is broken. client-go's own
	// timeouts are longer.
	patience = 25 * time.Second
)

func newExecutor(t *testing.T, timeout time.Duration) *executor.Executor {
	t.Helper()
	ex, err := executor.New([]executor.Class{{
		Name: "pod", Weight: 1, MaxParallel: 32, MaxPerTarget: 32, MaxQuarantine: 1000,
		Timeout: executor.Timeout{Base: timeout, Max: timeout, Grace: patience, Connect: patience},
	}}, executor.WithSinks(), executor.WithTuning(executor.Tuning{Jitter: -1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := ex.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
	return ex
}

func newClient(t *testing.T, cfg podexec.Config) *podexec.Client {
	t.Helper()
	c, err := podexec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

func command(args ...string) podexec.Command {
	return podexec.Command{Name: args[0], Class: "pod", Target: pod, Args: args}
}

var protocols = map[string]podexec.Protocol{"websocket": podexec.WebSocket, "spdy": podexec.SPDY}

// What works has to work the same over both protocols, fresh and in a session, with and without TLS.
func TestCommands(t *testing.T) {
	for name, protocol := range protocols {
		for _, secure := range []bool{false, true} {
			for _, fresh := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s tls=%v fresh=%v", name, secure, fresh), func(t *testing.T) {
					server := newAPIServer(t, secure)
					c := newClient(t, podexec.Config{REST: server.config(""), Protocol: protocol, MaxOutput: 100_000})
					ex := newExecutor(t, 20*time.Second)
					run := func(args ...string) (podexec.Result, error) {
						cmd := command(args...)
						cmd.Fresh = fresh
						return c.Do(t.Context(), ex, cmd)
					}
					got, err := run("printf", "%s\\n", "it's", "$HOME", "a b", "")
					if err != nil || string(got.Stdout) != "it's\n$HOME\na b\n\n" {
						t.Errorf("quoting: %q, %v", got.Stdout, err)
					}
					got, err = run("sh", "-c", "echo out; echo why >&2; exit 3")
					if !errors.Is(err, podexec.ErrExit) || got.ExitCode != 3 || string(got.Stdout) != "out\n" || string(got.Stderr) != "why\n" {
						t.Errorf("status 3: %+v, %v", got, err)
					}
					if err != nil && !strings.Contains(err.Error(), "why") {
						t.Errorf("error %q does not quote stderr", err)
					}
					got, err = run("head", "-c", "300000", "/dev/zero")
					if err != nil || len(got.Stdout) != 100_000 || !got.Truncated {
						t.Errorf("long output: %d bytes, truncated %v, %v", len(got.Stdout), got.Truncated, err)
					}
					got, err = run("printf", "no newline")
					if err != nil || string(got.Stdout) != "no newline" {
						t.Errorf("after long output: %q, %v", got.Stdout, err)
					}
					if _, err = run("no-such-program"); !errors.Is(err, podexec.ErrExit) {
						t.Errorf("no such program: %v", err)
					}
					if n := server.execs.Load(); !fresh && n != 1 {
						t.Errorf("%d exec requests for one session, want 1", n)
					}
				})
			}
		}
	}
}

func TestOperatorSignature(t *testing.T) {
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	exec := c.Func(newExecutor(t, 20*time.Second), podexec.Command{Class: "pod", Target: pod})
	var out, errOut bytes.Buffer
	if err := exec(t.Context(), strings.NewReader("from stdin"), &out, &errOut, "sh", "-c", "cat; echo e >&2"); err != nil {
		t.Fatal(err)
	}
	if out.String() != "from stdin" || errOut.String() != "e\n" {
		t.Errorf("got %q and %q", out.String(), errOut.String())
	}
	out.Reset()
	if err := exec(t.Context(), nil, &out, nil, "echo", "x"); err != nil || out.String() != "x\n" {
		t.Errorf("without stdin: %q, %v", out.String(), err)
	}
	if err := exec(t.Context(), nil, nil, nil, "false"); !errors.Is(err, podexec.ErrExit) {
		t.Errorf("false: %v", err)
	}
	if err := exec(t.Context(), nil, nil, nil); err == nil {
		t.Error("a command without a program was accepted")
	}
}

// A server without WebSocket is spoken to in SPDY; a request that is refused is not repeated in SPDY.
func TestFallback(t *testing.T) {
	server := newAPIServer(t, false)
	server.noWebSocket = true
	c := newClient(t, podexec.Config{REST: server.config("")})
	ex := newExecutor(t, 20*time.Second)
	cmd := command("echo", "x")
	cmd.Fresh = true
	if got, err := c.Do(t.Context(), ex, cmd); err != nil || string(got.Stdout) != "x\n" {
		t.Errorf("got %q, %v", got.Stdout, err)
	}
	server.noWebSocket = false
	for code, want := range map[int32]executor.Verdict{404: executor.VerdictFatal, 429: executor.VerdictOverload, 503: executor.VerdictOverload} {
		server.status.Store(&metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Code: code, Details: &metav1.StatusDetails{RetryAfterSeconds: 7},
		})
		before := server.execs.Load()
		_, err := c.Do(t.Context(), ex, cmd)
		if got := podexec.Classify(err); got != want || !executor.IsNotStarted(err) {
			t.Errorf("status %d: verdict %v, not started %v, want %v and true: %v", code, got, executor.IsNotStarted(err), want, err)
		}
		var after interface{ RetryAfter() time.Duration }
		if want == executor.VerdictOverload && (!errors.As(err, &after) || after.RetryAfter() != 7*time.Second) {
			t.Errorf("status %d: no RetryAfter of 7 s in %v", code, err)
		}
		if n := server.execs.Load() - before; n != 1 {
			t.Errorf("status %d: %d requests, want 1", code, n)
		}
	}
}

// A session that broke is replaced; one that was in use is not blindly repeated.
func TestSessionIsReplaced(t *testing.T) {
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	ex := newExecutor(t, 20*time.Second)
	if _, err := c.Do(t.Context(), ex, command("true")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Do(t.Context(), ex, command("sh", "-c", "kill -9 $PPID; kill -9 $(ps -o ppid= -p $PPID)")) // timeout(1), and the shell
	if err == nil {
		t.Error("a command whose shell was killed succeeded")
	}
	if got, err := c.Do(t.Context(), ex, command("echo", "again")); err != nil || string(got.Stdout) != "again\n" {
		t.Errorf("after the session broke: %q, %v", got.Stdout, err)
	}
}

// The process of an attempt that is over is ended in the pod too, by timeout(1), and before the attempt is.
func TestRemoteTimeout(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	process := newBeacon(t)
	_, err := c.Do(t.Context(), newExecutor(t, 2200*time.Millisecond), command("sh", "-c", process.light+"exec sleep 600"))
	if !errors.Is(err, podexec.ErrRemoteTimeout) && !errors.Is(err, executor.ErrTimeout) { // it has 1.2 s to tell of it
		t.Errorf("got %v, want the pod's own timeout", err)
	}
	select {
	case <-process.out:
	case <-time.After(patience):
		t.Error("the process lives on in the pod")
	}
	if _, err = c.Do(t.Context(), newExecutor(t, patience), command("sh", "-c", "exit 124")); !errors.Is(err, podexec.ErrRemoteTimeout) {
		t.Errorf("got %v for the status of timeout(1)", err)
	}
}

// hang is what a frozen server does to a client: freeze is called, where there is one, when running is closed.
type hang struct {
	cfg     *rest.Config
	reached <-chan struct{} // the phase; nil means that it begins with freeze
	freeze  func()
}

// The hang matrix: servers that accept and stay silent. Whatever the phase, the attempt ends at its timeout or at its
// cancellation, by itself; nothing is abandoned. Scenarios 1, 2, 4, 5.
//
// What is told apart is a stream that ends from one that never does, since the server is silent for good: no time
// is measured, but for patience. That the executor keeps its times with any transport is tested in fake time.
func TestHangs(t *testing.T) {
	t.Parallel()
	secure := newAPIServer(t, true)
	plain := newAPIServer(t, false)
	tlsConfig := secure.TLS.Clone()
	tlsConfig.NextProtos = nil
	at := func(s *apiServer) func(string, <-chan struct{}) hang {
		return func(address string, reached <-chan struct{}) hang {
			return hang{cfg: s.config(address), reached: reached}
		}
	}
	frozen := func(tb testing.TB, s *apiServer) hang {
		tb.Helper()
		f := newFreezer(tb, s.Listener.Addr().String())
		return hang{cfg: s.config(f.address), freeze: f.freeze}
	}
	phases := map[string]func(testing.TB) hang{
		"silent":                    func(tb testing.TB) hang { tb.Helper(); return at(plain)(silent(tb)) },
		"silent in TLS handshake":   func(tb testing.TB) hang { tb.Helper(); return at(secure)(silent(tb)) },
		"silent after request, TLS": func(tb testing.TB) hang { tb.Helper(); return at(secure)(upgradesAndStops(tb, tlsConfig, false)) },
		"silent after 101":          func(tb testing.TB) hang { tb.Helper(); return at(plain)(upgradesAndStops(tb, nil, true)) },
		"silent after 101, TLS":     func(tb testing.TB) hang { tb.Helper(); return at(secure)(upgradesAndStops(tb, tlsConfig, true)) },
		"frozen in mid-stream":      func(tb testing.TB) hang { tb.Helper(); return frozen(tb, plain) },
		"frozen in mid-stream, TLS": func(tb testing.TB) hang { tb.Helper(); return frozen(tb, secure) },
	}
	for phase, start := range phases {
		for name, protocol := range protocols {
			for _, fresh := range []bool{true, false} {
				for _, byCancel := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s fresh=%v cancel=%v", phase, name, fresh, byCancel), func(t *testing.T) {
						t.Parallel()
						hangs(t, start(t), protocol, fresh, byCancel)
					})
				}
			}
		}
	}
}

func hangs(t *testing.T, h hang, protocol podexec.Protocol, fresh, byCancel bool) {
	t.Helper()
	c := newClient(t, podexec.Config{REST: h.cfg, Protocol: protocol, NoRemoteTimeout: true})
	timeout, want := attemptTimeout, executor.ErrTimeout
	switch {
	case byCancel:
		timeout, want = patience, context.Canceled
	case h.freeze != nil: // the stream has to be there before; if it is not, an earlier phase hangs, which ends the same
		timeout = 4 * attemptTimeout
	}
	ex := newExecutor(t, timeout)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	process := newBeacon(t)
	cmd := command("sh", "-c", process.light+"exec sleep 600")
	cmd.Fresh = fresh
	f := executor.Submit(ctx, ex, c.Wrap(cmd))
	reached := h.reached
	if h.freeze != nil {
		reached = process.lit
	}
	select {
	case <-reached:
	case <-f.Done(): // its timeout came first
	}
	if h.freeze != nil {
		h.freeze()
	}
	if byCancel {
		cancel()
	}
	ended, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	_, err := f.Wait(ended)
	if !errors.Is(err, want) || errors.Is(err, executor.ErrAbandoned) {
		t.Errorf("error %v, want %v, not abandoned", err, want)
	}
	if s := ex.Stats().Classes[0]; s.QuarantinePeak != 0 {
		t.Errorf("quarantine peak %d, want 0", s.QuarantinePeak)
	}
}

// The connect timeout covers all until the stream, or the session, is there. It comes long before that of the attempt,
// and says that nothing was started.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	ex, err := executor.New([]executor.Class{{
		Name: "pod", Weight: 1, MaxParallel: 8, MaxPerTarget: 8,
		Timeout: executor.Timeout{Base: patience, Grace: patience, Connect: attemptTimeout},
	}}, executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	for name, protocol := range protocols {
		for _, fresh := range []bool{true, false} {
			address, _ := silent(t)
			if !fresh { // a session is there when its shell has answered
				address, _ = upgradesAndStops(t, nil, true)
			}
			c := newClient(t, podexec.Config{REST: &rest.Config{Host: "http://" + address}, Protocol: protocol})
			run := c.Func(ex, podexec.Command{Class: "pod", Target: pod, Fresh: fresh})
			if err := run(t.Context(), nil, nil, nil, "true"); !executor.IsNotStarted(err) || errors.Is(err, executor.ErrTimeout) {
				t.Errorf("%s fresh=%v: got %v, want one that did not start", name, fresh, err)
			}
		}
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// Heartbeats are no progress, output is: a command is noticed when it falls silent, and only then. It may be silent for
// as long as half of its lines took right before, on a machine as busy. Scenario 3.
func TestProgress(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	lines := func(n int, then string) podexec.Command {
		return command("sh", "-c", fmt.Sprintf("for i in $(seq %d); do echo $i; sleep 0.05; done; %s", n, then))
	}
	for _, fresh := range []bool{true, false} {
		half, all := lines(20, "true"), lines(40, "exec sleep 600")
		half.Fresh, all.Fresh = fresh, fresh
		began := time.Now()
		if _, err := c.Do(t.Context(), newExecutor(t, patience), half); err != nil {
			t.Fatal(err)
		}
		ex, err := executor.New([]executor.Class{{
			Name: "pod", Weight: 1, MaxParallel: 1,
			Timeout: executor.Timeout{Base: 4 * patience, Grace: patience, Progress: time.Since(began)},
		}}, executor.WithSinks())
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Do(t.Context(), ex, all)
		if !errors.Is(err, executor.ErrStalled) {
			t.Errorf("fresh=%v: %v, want a stall", fresh, err)
		}
		if !bytes.HasSuffix(got.Stdout, []byte("39\n40\n")) {
			t.Errorf("fresh=%v: output %q, want all that it had to say", fresh, got.Stdout)
		}
		if err := ex.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A stdin that blocks costs an attempt, not the caller. Scenario 26.
func TestBlockedStdin(t *testing.T) {
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	ex, err := executor.New([]executor.Class{{
		Name: "pod", Weight: 1, MaxParallel: 1, Timeout: executor.Timeout{Base: attemptTimeout, Grace: attemptTimeout},
	}}, executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	err = c.Func(ex, podexec.Command{Class: "pod", Target: pod})(t.Context(), r, io.Discard, io.Discard, "cat")
	if !errors.Is(err, executor.ErrAbandoned) {
		t.Errorf("got %v, want that it was abandoned", err)
	}
	_ = w.Close()
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
