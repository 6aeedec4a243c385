package podexec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/cutset-dev/cutset/executor"
)

// Errors of this package.
var (
	// ErrExit matches the error of a process that ran and ended with a status other than 0.
	ErrExit = errors.New("podexec: process failed")
	// ErrRemoteTimeout matches the ExitError of a process that timeout(1) ended in the pod.
	ErrRemoteTimeout = errors.New("podexec: process was ended by its timeout in the pod")
	// ErrSession means that a session ended, or said something unexpected. Whether the command that ran in it
	// took effect is open.
	ErrSession = errors.New("podexec: session broke")
)

// exitTimeout is the status of timeout(1) when it had to end its command.
const exitTimeout = 124

// stderrInError is how many bytes from the end of stderr an error quotes.
const stderrInError = 300

// ExitError is the error of a process that did not end with status 0. It matches ErrExit.
type ExitError struct {
	Command string
	Code    int
	Stderr  string // its end
}

// Error has the command, the status and the end of stderr.
func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s: exit status %d", e.Command, e.Code)
	}
	return fmt.Sprintf("%s: exit status %d: %s", e.Command, e.Code, e.Stderr)
}

// Is matches ErrExit, and ErrRemoteTimeout for status 124.
func (e *ExitError) Is(target error) bool {
	return target == ErrExit || target == ErrRemoteTimeout && e.Code == exitTimeout
}

func newExitError(command []string, code int, stderr []byte) *ExitError {
	tail := stderr[max(0, len(stderr)-stderrInError):]
	return &ExitError{Command: strings.Join(command, " "), Code: code, Stderr: strings.TrimSpace(string(tail))}
}

// exitError turns client-go's error for a status into ours.
func exitError(command []string, err error) error {
	var code utilexec.CodeExitError
	if errors.As(err, &code) {
		return newExitError(command, code.Code, nil)
	}
	return err
}

// statusOf finds the API server's answer in err.
func statusOf(err error) (metav1.Status, bool) {
	var upgrade *httpstream.UpgradeFailureError // has no Unwrap
	if errors.As(err, &upgrade) {
		if status, ok := statusOf(upgrade.Cause); ok {
			return status, true
		}
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status(), true
	}
	return metav1.Status{}, false
}

// refusal reads the API server's answer to a request that it did not upgrade, and leaves the body readable;
// client-go's SPDY executor makes a mere text of it. nil means that there is no status in it.
func refusal(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	var status metav1.Status
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err == nil && status.Kind == "Status" && status.Code != 0 {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return nil
}

// refused marks the API server's "too many requests" and "unavailable" with the time that it asked for.
func refused(err error) error {
	s, ok := statusOf(err)
	if !ok || s.Code != http.StatusTooManyRequests && s.Code != http.StatusServiceUnavailable {
		return err
	}
	after := time.Second
	if s.Details != nil && s.Details.RetryAfterSeconds > 0 {
		after = time.Duration(s.Details.RetryAfterSeconds) * time.Second
	}
	return executor.RetryAfter(err, after)
}

// Classify says what an error means for a retry: a request that the API server refused for good is
// fatal, one that never got to the pod may be repeated, and the rest is left to the executor.
func Classify(err error) executor.Verdict {
	if status, ok := statusOf(err); ok {
		switch status.Code {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed:
			return executor.VerdictFatal
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return executor.VerdictOverload
		}
	}
	if executor.IsNotStarted(err) {
		return executor.VerdictNotStarted
	}
	return executor.VerdictDefault
}
