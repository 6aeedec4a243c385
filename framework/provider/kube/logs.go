package kube

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// logs returns a function that, called with every state of every pod, appends all that each of its containers ever
// prints to a file of the pod's name: from the container's start, so that what came before a fault is there.
func (c *Cluster) logs(ctx context.Context) func(*corev1.Pod) {
	var mu sync.Mutex
	followed := map[string]bool{}
	return func(pod *corev1.Pod) {
		mu.Lock()
		defer mu.Unlock()
		for _, status := range pod.Status.ContainerStatuses {
			if status.State.Running != nil && !followed[status.ContainerID] {
				followed[status.ContainerID] = true
				go c.follow(ctx, pod.Name, status.Name)
			}
		}
	}
}

// follow copies the log of a container until it ends. Where it breaks off with its node, it goes on from there.
func (c *Cluster) follow(ctx context.Context, pod, container string) {
	file, err := os.OpenFile(c.logFile(pod), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer file.Close() //nolint:errcheck // a log that can't be written has no better place to say so
	var since *metav1.Time
	for ctx.Err() == nil {
		stream, err := c.client.CoreV1().Pods(c.options.Namespace).GetLogs(pod, &corev1.PodLogOptions{
			Container: container, Follow: true, SinceTime: since,
		}).Stream(ctx)
		if err == nil {
			_, err = io.Copy(file, stream)
			_ = stream.Close()
		}
		if err == nil {
			return // the container ended
		}
		since = &metav1.Time{Time: time.Now()}
		_, _ = fmt.Fprintf(file, "cutset: the log broke off: %v\n", err)
		if Pause(ctx) != nil {
			return
		}
	}
}

// Log implements [provider.Cluster].
func (c *Cluster) Log(instance string) (io.ReadCloser, error) { return os.Open(c.logFile(instance)) }

func (c *Cluster) logFile(pod string) string { return filepath.Join(c.options.Logs, pod+".log") }

// logEvents appends the namespace's events to a file.
func (c *Cluster) logEvents(ctx context.Context) error {
	file, err := os.OpenFile(filepath.Join(c.options.Logs, "events.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = file.Close() })
	factory := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithNamespace(c.options.Namespace))
	write := func(object any) {
		if e, ok := object.(*corev1.Event); ok {
			_, _ = fmt.Fprintf(file, "%s %s %s %s/%s: %s\n", time.Now().UTC().Format(time.RFC3339Nano), e.Type, e.Reason,
				strings.ToLower(e.InvolvedObject.Kind), e.InvolvedObject.Name, e.Message)
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: write, UpdateFunc: func(_, now any) { write(now) }}
	_, err = factory.Core().V1().Events().Informer().AddEventHandler(handler)
	factory.Start(ctx.Done())
	return err
}

// Pause waits for a moment between two looks at the API.
func Pause(ctx context.Context) error {
	const moment = 100 * time.Millisecond
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
