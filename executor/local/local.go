// Package local runs processes of this host so that none of them can hang its caller: each gets
// a process group of its own that is killed as a whole, pipes that are not waited for once the
// process is gone, and bounded buffers for what it prints.
//
// exec.CommandContext alone is not enough: it kills the child only, and then waits for the pipe
// that a grandchild still holds.
package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// The defaults of Cmd.
const (
	DefaultMaxOutput = 1 << 20 // bytes, each of stdout and stderr
	DefaultWaitDelay = 200 * time.Millisecond
)

// stderrInError is how many bytes from the end of stderr an error quotes.
const stderrInError = 300

// ErrExit matches the error of a process that ran and ended with a status other than 0.
var ErrExit = errors.New("local: process failed")

// Cmd describes a process.
type Cmd struct {
	// Path is the program, looked up in PATH if it has no slash; Args are those after the name.
	Path string
	Args []string
	// Env is the whole environment, "key=value"; nil means that of this process.
	Env []string
	// Dir is the working directory; "" means that of this process.
	Dir string
	// Stdin is copied to the process by a goroutine. If it is not an *os.File and its Read blocks for
	// good, that goroutine stays until Read returns, although Run does not wait for it.
	Stdin io.Reader
	// SysProcAttr is used as given, with Setpgid added unless it has Setsid. May be nil.
	SysProcAttr *syscall.SysProcAttr
	// ExtraFiles become file descriptors 3 and up, as in exec.Cmd.
	ExtraFiles []*os.File
	// MaxOutput bounds stdout and stderr, in bytes each. Default DefaultMaxOutput.
	MaxOutput int
	// WaitDelay is how long pipes are still read after the process was killed, or has ended. Default
	// DefaultWaitDelay.
	WaitDelay time.Duration
}

// String is the command line, for people.
func (c Cmd) String() string { return strings.Join(append([]string{c.Path}, c.Args...), " ") }

// Result is what a process left behind.
type Result struct {
	Stdout, Stderr []byte
	// ExitCode is -1 if the process did not start or was ended by a signal.
	ExitCode int
	// Truncated says that it printed more than MaxOutput; what came first is kept.
	Truncated bool
}

// ExitError is the error of a process that did not end with status 0. It matches ErrExit, and unwraps
// to the *exec.ExitError.
type ExitError struct {
	Cmd    string
	Result Result
	Err    error
}

// Error has the command line, the status and the end of stderr.
func (e *ExitError) Error() string {
	tail := bytes.TrimSpace(e.Result.Stderr)
	tail = tail[max(0, len(tail)-stderrInError):]
	if len(tail) == 0 {
		return fmt.Sprintf("%s: %v", e.Cmd, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", e.Cmd, e.Err, tail)
}

// Unwrap returns the *exec.ExitError.
func (e *ExitError) Unwrap() error { return e.Err }

// Is matches ErrExit.
func (e *ExitError) Is(target error) bool { return target == ErrExit }

// Run starts the process and waits for its end, or until ctx is done: then its whole process group is killed, and
// Run returns ctx's error at most WaitDelay later. An error to start it is marked with
// executor.NotStarted; a status other than 0 is an *ExitError. The Result is valid with every error.
func Run(ctx context.Context, c Cmd) (Result, error) {
	var attr syscall.SysProcAttr
	if c.SysProcAttr != nil {
		attr = *c.SysProcAttr
	}
	if !attr.Setsid {
		attr.Setpgid = true // with Pgid 0: a group of its own
	}
	limit := c.MaxOutput
	if limit <= 0 {
		limit = DefaultMaxOutput
	}
	stdout, stderr := &bounded{limit: limit}, &bounded{limit: limit}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdin = c.Env, c.Dir, c.Stdin
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = stdout, stderr, c.ExtraFiles
	cmd.SysProcAttr = &attr
	cmd.WaitDelay = c.WaitDelay
	if cmd.WaitDelay <= 0 {
		cmd.WaitDelay = DefaultWaitDelay
	}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return Result{ExitCode: -1}, executor.NotStarted(fmt.Errorf("starting %s: %w", c, err))
	}
	err := cmd.Wait()
	result := Result{
		Stdout: stdout.bytes(), Stderr: stderr.bytes(),
		ExitCode: cmd.ProcessState.ExitCode(), Truncated: stdout.truncated() || stderr.truncated(),
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return result, fmt.Errorf("%s: %w", c, context.Cause(ctx))
	case errors.As(err, &exit):
		return result, &ExitError{Cmd: c.String(), Result: result, Err: err}
	case errors.Is(err, exec.ErrWaitDelay):
		// The process ended well, but a child of it still holds the pipes: what it printed is there.
		_ = killGroup(cmd.Process.Pid)
		return result, nil
	}
	return result, fmt.Errorf("%s: %w", c, err)
}

// killGroup kills a process group; one that is gone already is fine.
func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing process group %d: %w", pid, err)
	}
	return nil
}

// Command makes an executor command of a process, not idempotent unless the caller says so. The process is killed
// with its group when the attempt is cancelled. A process that did not start may always be retried. There is no connect
// phase: Timeout.Connect of the class has no effect.
func Command(class, name, target string, c Cmd) executor.Command[Result] {
	return executor.Command[Result]{
		Name: name, Class: class, Target: target,
		Run: func(ctx context.Context, _ executor.Attempt) (Result, error) { return Run(ctx, c) },
	}
}
