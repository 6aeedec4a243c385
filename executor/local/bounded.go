package local

import "sync"

// bounded keeps the first limit bytes that are written to it, and takes the rest without keeping it, so that
// the process never blocks on a full pipe. It is locked because after WaitDelay the copying
// goroutine may still be in Write.
type bounded struct {
	mu    sync.Mutex
	limit int
	buf   []byte
	over  bool
}

// Write never fails and never blocks.
func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keep := min(len(p), b.limit-len(b.buf))
	b.buf = append(b.buf, p[:keep]...)
	b.over = b.over || keep < len(p)
	return len(p), nil
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf[:len(b.buf):len(b.buf)]
}

func (b *bounded) truncated() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}
