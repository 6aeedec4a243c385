package local_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sh(script string) local.Cmd { return local.Cmd{Path: "sh", Args: []string{"-c", script}} }

func TestRun(t *testing.T) {
	c := sh("cat; echo err >&2; echo $X")
	c.Env, c.Stdin, c.Dir = []string{"X=env", "PATH=" + os.Getenv("PATH")}, strings.NewReader("in\n"), t.TempDir()
	got, err := local.Run(t.Context(), c)
	if err != nil || string(got.Stdout) != "in\nenv\n" || string(got.Stderr) != "err\n" || got.ExitCode != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestExitStatus(t *testing.T) {
	got, err := local.Run(t.Context(), sh("echo out; echo why >&2; exit 3"))
	var exit *exec.ExitError
	if !errors.Is(err, local.ErrExit) || !errors.As(err, &exit) || got.ExitCode != 3 || string(got.Stdout) != "out\n" {
		t.Errorf("got %+v, %v", got, err)
	}
	if !strings.Contains(err.Error(), "why") {
		t.Errorf("error %q does not quote stderr", err)
	}
}

func TestNotStarted(t *testing.T) {
	_, err := local.Run(t.Context(), local.Cmd{Path: filepath.Join(t.TempDir(), "nothing")})
	if !executor.IsNotStarted(err) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a NotStarted os.ErrNotExist", err)
	}
}

// alive reports whether pid is there and not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// A grandchild that keeps the pipe does not keep Run. Scenario 25.
func TestGrandchildKeepsPipe(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := local.Run(ctx, sh("sleep 600 & echo $! >"+pidFile+"; wait"))
		ended <- err
	}()
	pid := 0
	eventually(t, "the grandchild is there", func() bool {
		text, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid != 0
	})
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", err)
		}
	case <-time.After(patience):
		t.Error("it goes on after its cancellation")
	}
	eventually(t, "the grandchild is killed with its group", func() bool { return !alive(pid) })
}

// patience bounds the wait for what comes at once on an idle machine, and never if it is broken.
const patience = 25 * time.Second

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A daemon that is left behind with the pipe does not make a finished command fail or wait.
func TestBackgroundChildAfterSuccess(t *testing.T) {
	began := time.Now()
	got, err := local.Run(t.Context(), sh("echo ready; sleep 60 &"))
	if took := time.Since(began); err != nil || string(got.Stdout) != "ready\n" || took > patience {
		t.Errorf("got %+v, %v after %v", got, err, took)
	}
}

// A stdin that never ends and an endless output do not block. Scenario 26.
func TestEndlessStdinAndOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close(); _ = r.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c := local.Cmd{Path: "cat", Stdin: r}
	if _, err := local.Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("blocked stdin: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c = sh("yes")
	c.MaxOutput = 1000
	got, err := local.Run(ctx, c)
	if !errors.Is(err, context.DeadlineExceeded) || len(got.Stdout) != 1000 || !got.Truncated {
		t.Errorf("endless output: %d bytes, truncated %v, %v", len(got.Stdout), got.Truncated, err)
	}
}

// Through the executor: the timeout of the class ends the process, and nothing is abandoned.
func TestCommand(t *testing.T) {
	ex, err := executor.New([]executor.Class{{
		Name: "c", Weight: 1, MaxParallel: 1,
		Timeout: executor.Timeout{Base: 100 * time.Millisecond, Grace: 2 * time.Second},
	}}, executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	_, err = executor.Do(t.Context(), ex, local.Command("c", "sleep", "", sh("sleep 60 & sleep 60")))
	if !errors.Is(err, executor.ErrTimeout) || errors.Is(err, executor.ErrAbandoned) {
		t.Errorf("got %v, want a timeout that was not abandoned", err)
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
