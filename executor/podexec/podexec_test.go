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
	attemptGrace   = 400 * time.Millisecond
)

func newExecutor(t *testing.T, timeout time.Duration) *executor.Executor {
	t.Helper()
	ex, err := executor.New([]executor.Class{{
		Name: "pod", Weight: 1, MaxParallel: 32, MaxPerTarget: 32, MaxQuarantine: 1000,
		Timeout: executor.Timeout{Base: timeout, Max: timeout, Grace: attemptGrace, Connect: 5 * time.Second},
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
	// The process of an attempt that is over is ended in the pod too, by timeout(1).
	short := newExecutor(t, 1200*time.Millisecond)
	began := time.Now()
	if _, err = c.Do(t.Context(), short, command("sleep", "77.77")); !errors.Is(err, podexec.ErrRemoteTimeout) || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("got %v after %v, want the pod's own timeout", err, time.Since(began))
	}
}

// The hang matrix: servers that accept and stay silent. Whatever the phase, the attempt ends within its timeout, or at
// its cancellation, plus the grace period; nothing is abandoned. Scenarios 1, 2, 4, 5.
func TestHangs(t *testing.T) {
	t.Parallel()
	secure := newAPIServer(t, true)
	plain := newAPIServer(t, false)
	tlsConfig := secure.TLS.Clone()
	tlsConfig.NextProtos = nil
	phases := map[string]func(testing.TB) (cfg *rest.Config, freeze func()){
		"silent": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			return plain.config(silent(tb)), nil
		},
		"silent in TLS handshake": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			return secure.config(silent(tb)), nil
		},
		"silent after request, TLS": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			return secure.config(upgradesAndStops(tb, tlsConfig, false)), nil
		},
		"silent after 101": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			return plain.config(upgradesAndStops(tb, nil, true)), nil
		},
		"silent after 101, TLS": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			return secure.config(upgradesAndStops(tb, tlsConfig, true)), nil
		},
		"frozen in mid-stream": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			f := newFreezer(tb, plain.Listener.Addr().String())
			return plain.config(f.address), f.freeze
		},
		"frozen in mid-stream, TLS": func(tb testing.TB) (*rest.Config, func()) {
			tb.Helper()
			f := newFreezer(tb, secure.Listener.Addr().String())
			return secure.config(f.address), f.freeze
		},
	}
	for phase, start := range phases {
		for name, protocol := range protocols {
			for _, fresh := range []bool{true, false} {
				for _, byCancel := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s fresh=%v cancel=%v", phase, name, fresh, byCancel), func(t *testing.T) {
						t.Parallel()
						cfg, freeze := start(t)
						hangs(t, podexec.Config{REST: cfg, Protocol: protocol, NoRemoteTimeout: true}, fresh, byCancel, freeze)
					})
				}
			}
		}
	}
}

func hangs(t *testing.T, cfg podexec.Config, fresh, byCancel bool, freeze func()) {
	t.Helper()
	c := newClient(t, cfg)
	timeout := attemptTimeout
	if byCancel {
		timeout = time.Minute
	}
	if freeze != nil { // the hang matrix runs in parallel on few cores; the stream has to be there before
		timeout = max(timeout, 2*time.Second)
	}
	ex := newExecutor(t, timeout)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := command("sleep", "600")
	cmd.Fresh = fresh
	began := time.Now()
	f := executor.Submit(ctx, ex, c.Wrap(cmd))
	expected := timeout
	if freeze != nil {
		<-time.After(700 * time.Millisecond)
		freeze()
	}
	if byCancel {
		<-time.After(300 * time.Millisecond)
		expected = time.Since(began)
		cancel()
	}
	_, err := f.Wait(context.Background())
	took := time.Since(began)
	if took > expected+attemptGrace+250*time.Millisecond {
		t.Errorf("returned after %v, want %v and some", took, expected)
	}
	want := executor.ErrTimeout
	if byCancel {
		want = context.Canceled
	}
	if !errors.Is(err, want) || errors.Is(err, executor.ErrAbandoned) {
		t.Errorf("error %v, want %v, not abandoned", err, want)
	}
	if s := ex.Stats().Classes[0]; s.QuarantinePeak != 0 {
		t.Errorf("quarantine peak %d, want 0", s.QuarantinePeak)
	}
}

// Heartbeats are no progress: a silent command is noticed by a class with a progress timeout. Scenario 3.
func TestProgress(t *testing.T) {
	t.Parallel()
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	ex, err := executor.New([]executor.Class{{
		Name: "pod", Weight: 1, MaxParallel: 1,
		Timeout: executor.Timeout{Base: time.Minute, Grace: time.Second, Progress: 600 * time.Millisecond},
	}}, executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	for _, fresh := range []bool{true, false} {
		cmd := command("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done; sleep 60")
		cmd.Fresh = fresh
		began := time.Now()
		got, err := c.Do(t.Context(), ex, cmd)
		if took := time.Since(began); !errors.Is(err, executor.ErrStalled) || took < 1500*time.Millisecond || took > 4*time.Second {
			t.Errorf("fresh=%v: %v after %v, want a stall after 5 lines", fresh, err, took)
		}
		if string(got.Stdout) != "1\n2\n3\n4\n5\n" {
			t.Errorf("fresh=%v: partial output %q", fresh, got.Stdout)
		}
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// A stdin that blocks costs an attempt, not the caller. Scenario 26.
func TestBlockedStdin(t *testing.T) {
	server := newAPIServer(t, false)
	c := newClient(t, podexec.Config{REST: server.config("")})
	ex := newExecutor(t, attemptTimeout)
	r, w := io.Pipe()
	began := time.Now()
	err := c.Func(ex, podexec.Command{Class: "pod", Target: pod})(t.Context(), r, io.Discard, io.Discard, "cat")
	if took := time.Since(began); !errors.Is(err, executor.ErrAbandoned) || took > attemptTimeout+attemptGrace+300*time.Millisecond {
		t.Errorf("got %v after %v", err, took)
	}
	_ = w.Close()
}
