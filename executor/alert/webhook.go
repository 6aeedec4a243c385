// Package alert has sinks for an executor's alerts: webhooks, Prometheus Alertmanager, and the reports of a test
// framework. Kubernetes Events are in executor/alert/kubeevent, Prometheus metrics in executor/metrics,
// and slog is part of package executor.
//
// What goes where, by tier:
//
//	tier      slog     Kubernetes Event    Alertmanager       report entry
//	low       INFO     -                   -                  when a command was given up
//	normal    WARN     Warning             -                  yes
//	high      ERROR    Warning             severity=warning   yes, always visible
//	critical  ERROR+4  Warning             severity=critical  yes, and failure text
//
// No sink here uses the executor, so none can recurse, and none can block it: each is called from its own
// goroutine, through a bounded queue.
package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// The times of HTTP sinks.
const (
	// RequestTimeout bounds one request.
	RequestTimeout = 5 * time.Second
	// retryFirst and retryMax bound the wait before a critical alert is sent again.
	retryFirst = time.Second
	retryMax   = 30 * time.Second
)

// ErrStatus means that the other side answered with a status other than 2xx.
var ErrStatus = errors.New("alert: unexpected status")

// Webhook posts each alert as a JSON object, that of executor.Alert. It is an executor.Sink.
type Webhook struct {
	post poster
	min  executor.Tier
}

// NewWebhook posts alerts of tier min and above to url. client may be nil; it must not be one whose
// requests go through the executor.
func NewWebhook(url string, min executor.Tier, client *http.Client) *Webhook {
	return &Webhook{post: newPoster(url, client), min: min}
}

// Alert posts a. A critical alert is sent again until it is taken, or Close is called; any other is
// dropped, and counted, if the first request fails.
func (w *Webhook) Alert(a executor.Alert) {
	if a.Tier >= w.min {
		w.post.send(a, a.Tier)
	}
}

// Failed counts alerts that were dropped.
func (w *Webhook) Failed() int64 { return w.post.failed.Load() }

// Close ends a request in progress and all further ones.
func (w *Webhook) Close() { w.post.cancel() }

// poster sends JSON.
type poster struct {
	url    string
	client *http.Client
	ctx    context.Context // the life of the sink, ended by Close
	cancel context.CancelFunc
	failed *atomic.Int64
}

func newPoster(url string, client *http.Client) poster {
	if client == nil {
		client = &http.Client{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return poster{url: url, client: client, ctx: ctx, cancel: cancel, failed: new(atomic.Int64)}
}

// send posts body; while tier is critical, again and again.
func (p *poster) send(body any, tier executor.Tier) {
	text, err := json.Marshal(body)
	for wait := retryFirst; err == nil; wait = min(2*wait, retryMax) {
		if err = p.once(text); err == nil {
			return
		}
		if tier < executor.TierCritical {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			err = nil
		case <-p.ctx.Done():
			timer.Stop()
		}
	}
	p.failed.Add(1)
}

func (p *poster) once(text []byte) error {
	ctx, cancel := context.WithTimeout(p.ctx, RequestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("alert: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection is reused
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%w %s", ErrStatus, resp.Status)
	}
	return nil
}
