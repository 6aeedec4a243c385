package podexec

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// session is a shell in a container that runs one command after the other. A command is written to its stdin
// as
//
//	( exec timeout -k 5 9 'cmd' 'arg' </dev/null ); printf '\nMARK %d\n' $?; printf '\nMARK 0\n' >&2
//
// where MARK is random for each command. Everything before it on the two streams is the command's output.
type session struct {
	stdin  *io.PipeWriter
	stdout *demux
	stderr *demux
	cancel context.CancelFunc
	ended  chan struct{} // closed when the stream is gone
	err    error         // why; valid after ended
	used   time.Time
}

// open starts a shell and waits for its first sign of life.
func (c *Client) open(ctx context.Context, t Target) (*session, error) {
	// The session outlives the attempt that opens it, but not while it is being opened.
	sctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	connect := time.Hour
	if deadline, ok := ctx.Deadline(); ok {
		connect = time.Until(deadline)
	}
	in, out := io.Pipe()
	s := &session{stdin: out, stdout: newDemux(), stderr: newDemux(), cancel: cancel, ended: make(chan struct{})}
	go func() {
		err := c.Exec(sctx, t, connect, Streams{Stdin: in, Stdout: s.stdout, Stderr: s.stderr}, c.cfg.Shell)
		s.err = fmt.Errorf("%w: %w", ErrSession, cmpErr(err, io.EOF))
		_ = in.CloseWithError(s.err)
		cancel()
		close(s.ended)
	}()
	err := s.ping(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		<-s.ended // prompt: its socket is closed
		if s.stdout.silent() && s.stderr.silent() {
			return nil, fmt.Errorf("opening a session in %s: %w", t, err)
		}
		return nil, fmt.Errorf("opening a session in %s: %w: %w", t, ErrSession, err)
	}
	return s, nil
}

// cmpErr is err, or def if that is nil.
func cmpErr(err, def error) error {
	if err == nil {
		return def
	}
	return err
}

// ping asks for a sign of life.
func (s *session) ping(ctx context.Context) error {
	_, err := s.run(ctx, []string{":"}, ":", 0, nil)
	return err
}

// check reports whether the session can be used again.
func (s *session) check(ctx context.Context, after time.Duration) error {
	select {
	case <-s.ended:
		return s.err
	default:
	}
	if time.Since(s.used) < after {
		return nil
	}
	return s.ping(ctx)
}

// close ends the shell, and waits for that.
func (s *session) close() {
	s.cancel()
	<-s.ended
}

// run has the shell execute script and returns what it printed. After an error other than an
// *ExitError the session must not be used again.
func (s *session) run(ctx context.Context, command []string, script string, limit int, progress func()) (Result, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails; see crypto/rand
	mark := hex.EncodeToString(nonce)
	outDone, errDone := s.stdout.expect(mark, limit, progress), s.stderr.expect(mark, limit, progress)
	text := fmt.Sprintf("( %s </dev/null ); printf '\\n%s %%d\\n' $?; printf '\\n%s 0\\n' >&2\n", script, mark, mark)
	var written sync.WaitGroup
	var writeErr error
	written.Go(func() { _, writeErr = io.WriteString(s.stdin, text) })
	for outDone != nil || errDone != nil {
		select {
		case <-outDone:
			outDone = nil
		case <-errDone:
			errDone = nil
		case <-s.ended:
			written.Wait()
			return s.partial(), s.err
		case <-ctx.Done():
			s.cancel()
			<-s.ended
			written.Wait()
			return s.partial(), context.Cause(ctx)
		}
	}
	if written.Wait(); writeErr != nil {
		return s.partial(), fmt.Errorf("%w: %w", ErrSession, writeErr)
	}
	s.used = time.Now()
	result := s.partial()
	code, err := s.stdout.status()
	if err != nil {
		return result, err
	}
	result.ExitCode = code
	if code != 0 {
		return result, newExitError(command, code, result.Stderr)
	}
	return result, nil
}

func (s *session) partial() Result {
	out, cutOut := s.stdout.output()
	text, cutErr := s.stderr.output()
	return Result{Stdout: out, Stderr: text, ExitCode: -1, Truncated: cutOut || cutErr}
}

// demux finds the end of a command's output in a stream. Write never blocks, whatever comes.
type demux struct {
	mu       sync.Mutex
	mark     []byte
	limit    int
	progress func()
	head     []byte // the output so far, up to limit
	tail     []byte // its end, not yet searched for the mark
	over     bool
	code     string
	done     chan struct{}
	heard    bool
}

// maxStatus is the length of the longest status, with its blank and newline.
const maxStatus = 8

func newDemux() *demux { return &demux{} }

// expect starts the output of the next command; the channel is closed at its end.
func (d *demux) expect(mark string, limit int, progress func()) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mark, d.limit, d.progress = []byte("\n"+mark+" "), limit, progress
	d.head, d.tail, d.over, d.code, d.done = nil, nil, false, "", make(chan struct{})
	return d.done
}

// Write takes the next part of the stream.
func (d *demux) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = true
	if d.progress != nil {
		d.progress()
	}
	if d.mark == nil {
		return len(p), nil // nobody's: a process that a command left behind
	}
	d.tail = append(d.tail, p...)
	at := bytes.Index(d.tail, d.mark)
	if at < 0 {
		// The last bytes may be the beginning of the mark.
		d.keep(len(d.tail) - len(d.mark) - maxStatus)
		return len(p), nil
	}
	status := d.tail[at+len(d.mark):]
	end := bytes.IndexByte(status, '\n')
	if end < 0 {
		return len(p), nil
	}
	d.code = string(status[:end])
	d.keep(at)
	d.mark = nil
	close(d.done)
	return len(p), nil
}

// keep moves n bytes from the tail to the head, as far as the limit allows.
func (d *demux) keep(n int) {
	if n <= 0 {
		return
	}
	room := min(n, d.limit-len(d.head))
	d.head = append(d.head, d.tail[:room]...)
	d.over = d.over || room < n
	d.tail = append(d.tail[:0], d.tail[n:]...)
}

func (d *demux) output() (text []byte, truncated bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mark != nil { // cut short: what is held back is output as well
		d.mark = nil
		d.keep(len(d.tail))
	}
	return d.head, d.over
}

func (d *demux) status() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	code, err := strconv.Atoi(strings.TrimSpace(d.code))
	if err != nil {
		return -1, fmt.Errorf("%w: status %q", ErrSession, d.code)
	}
	return code, nil
}

// silent reports whether nothing ever came.
func (d *demux) silent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.heard
}

var errNul = errors.New("podexec: an argument contains a NUL byte")

// quote writes a command for a POSIX shell.
func quote(command []string) (string, error) {
	words := make([]string, 0, len(command))
	for _, word := range command {
		if strings.ContainsRune(word, 0) {
			return "", errNul
		}
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(words, " "), nil
}
