package podexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/pool"
)

// Result is what a process in a pod left behind.
type Result struct {
	Stdout, Stderr []byte
	// ExitCode is -1 if it is not known.
	ExitCode int
	// Truncated says that it printed more than MaxOutput; what came first is kept.
	Truncated bool
}

// Command describes a process in a pod.
type Command struct {
	// Name, Class and Idempotent are those of executor.Command; its Target is Target.String().
	Name, Class string
	Idempotent  bool
	Target      Target
	// Args is the program and its arguments; no shell looks at them.
	Args []string
	// Stdin is what the process reads; a command with any runs in an exec request of its own.
	Stdin []byte
	// Fresh asks for an exec request of its own.
	Fresh bool
}

// Wrap makes an executor command of cmd.
func (c *Client) Wrap(cmd Command) executor.Command[Result] {
	return executor.Command[Result]{
		Name: cmd.Name, Class: cmd.Class, Target: cmd.Target.String(), Idempotent: cmd.Idempotent, Classify: Classify,
		Run: func(ctx context.Context, a executor.Attempt) (Result, error) {
			if len(cmd.Args) == 0 {
				return Result{ExitCode: -1}, executor.NotStarted(errors.New("podexec: command without a program"))
			}
			if cmd.Fresh || c.cfg.NoSessions || len(cmd.Stdin) > 0 {
				return c.fresh(ctx, a, cmd)
			}
			return c.inSession(ctx, a, cmd)
		},
	}
}

// Do runs cmd through e and waits for its end.
func (c *Client) Do(ctx context.Context, e *executor.Executor, cmd Command) (Result, error) {
	return executor.Do(ctx, e, c.Wrap(cmd))
}

// bounded puts a command under timeout(1), with whole seconds, which every implementation understands, and less
// of them than the attempt has, if that has more than one.
func (c *Client) bounded(a executor.Attempt, args []string) []string {
	if c.cfg.NoRemoteTimeout {
		return args
	}
	seconds := max(1, int(a.Timeout*9/10/time.Second))
	return append([]string{"timeout", "-k", "5", strconv.Itoa(seconds)}, args...)
}

func (c *Client) fresh(ctx context.Context, a executor.Attempt, cmd Command) (Result, error) {
	stdout, stderr := &buffer{limit: c.cfg.MaxOutput, progress: a.Progress}, &buffer{limit: c.cfg.MaxOutput, progress: a.Progress}
	streams := Streams{Stdout: stdout, Stderr: stderr}
	if len(cmd.Stdin) > 0 {
		streams.Stdin = bytes.NewReader(cmd.Stdin)
	}
	err := c.Exec(ctx, cmd.Target, a.Connect, streams, c.bounded(a, cmd.Args)...)
	result := Result{Stdout: stdout.bytes(), Stderr: stderr.bytes(), Truncated: stdout.truncated() || stderr.truncated(), ExitCode: -1}
	var exit *ExitError
	switch {
	case err == nil:
		result.ExitCode = 0
	case errors.As(err, &exit):
		result.ExitCode = exit.Code
		return result, newExitError(cmd.Args, exit.Code, result.Stderr)
	}
	return result, err
}

func (c *Client) inSession(ctx context.Context, a executor.Attempt, cmd Command) (Result, error) {
	script, err := quote(c.bounded(a, cmd.Args))
	if err != nil {
		return Result{ExitCode: -1}, executor.NotStarted(err)
	}
	lease, err := c.lease(ctx, a, cmd.Target)
	if err != nil {
		return Result{ExitCode: -1}, executor.NotStarted(err)
	}
	result, err := lease.Conn.run(ctx, cmd.Args, "exec "+script, c.cfg.MaxOutput, a.Progress)
	if err == nil || errors.Is(err, ErrExit) {
		lease.Keep()
	} else {
		lease.Discard()
	}
	return result, err
}

// lease gets a session; opening one gets the attempt's connect timeout, not its total one.
func (c *Client) lease(ctx context.Context, a executor.Attempt, t Target) (*pool.Lease[*session], error) {
	ctx, cancel := context.WithTimeout(ctx, a.Connect)
	defer cancel()
	return c.sessions.Get(ctx, key{a.Class, t})
}

// ExecFunc is the common signature of an operator's pod-exec helper, for one container.
type ExecFunc func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) error

// maxStdin bounds what Func reads from stdin, in bytes.
const maxStdin = 16 << 20

// ErrStdin means that stdin had more bytes than are taken.
var ErrStdin = errors.New("podexec: stdin is too long")

// Func returns an ExecFunc that runs commands through e, in cmd's class and container. cmd gives Name, Class,
// Idempotent, Target and Fresh. Stdin is read to its end, up to 16 MiB, before the process starts, so that an
// attempt can be repeated; output is written to stdout and stderr when the process has ended, so that an
// abandoned attempt cannot write there later. Any of the three may be nil.
func (c *Client) Func(e *executor.Executor, cmd Command) ExecFunc {
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, command ...string) error {
		one := cmd
		one.Args = command
		if one.Name == "" && len(command) > 0 {
			one.Name = command[0]
		}
		result, err := executor.Do(ctx, e, c.withStdin(one, stdin))
		for _, out := range []struct {
			to   io.Writer
			text []byte
		}{{stdout, result.Stdout}, {stderr, result.Stderr}} {
			if out.to != nil && len(out.text) > 0 {
				if _, werr := out.to.Write(out.text); werr != nil && err == nil {
					err = fmt.Errorf("podexec: writing the output: %w", werr)
				}
			}
		}
		if err == nil && result.Truncated {
			err = fmt.Errorf("podexec: %w: more than %d bytes", io.ErrShortBuffer, c.cfg.MaxOutput)
		}
		return err
	}
}

// withStdin reads stdin once, inside the first attempt: a reader that blocks is the executor's business too.
func (c *Client) withStdin(cmd Command, stdin io.Reader) executor.Command[Result] {
	wrapped := c.Wrap(cmd)
	if stdin == nil {
		return wrapped
	}
	read := sync.OnceValues(func() ([]byte, error) {
		text, err := io.ReadAll(io.LimitReader(stdin, maxStdin+1))
		if err == nil && len(text) > maxStdin {
			err = ErrStdin
		}
		return text, err
	})
	wrapped.Run = func(ctx context.Context, a executor.Attempt) (Result, error) {
		text, err := read()
		if err != nil {
			return Result{ExitCode: -1}, executor.NotStarted(fmt.Errorf("reading stdin: %w", err))
		}
		one := cmd
		one.Stdin = text
		return c.Wrap(one).Run(ctx, a)
	}
	return wrapped
}

// buffer keeps the first limit bytes that are written to it. Write never blocks.
type buffer struct {
	mu       sync.Mutex
	limit    int
	progress func()
	text     []byte
	over     bool
}

// Write takes everything.
func (b *buffer) Write(p []byte) (int, error) {
	b.progress()
	b.mu.Lock()
	defer b.mu.Unlock()
	room := min(len(p), b.limit-len(b.text))
	b.text = append(b.text, p[:room]...)
	b.over = b.over || room < len(p)
	return len(p), nil
}

func (b *buffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text[:len(b.text):len(b.text)]
}

func (b *buffer) truncated() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}
