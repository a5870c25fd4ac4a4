//go:build unix

package kafkabroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePorts finds ports that nobody listens on, below those that systems give
// to outgoing connections: else a client that dials a dead broker again and
// again could be given the broker's own port.
func FreePorts(ctx context.Context, n int) ([]int, error) {
	const low, high = 15_000, 30_000
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // nothing was accepted
		}
	}()
	var ports []int
	var last error
	for tries := 0; len(ports) < n; tries++ {
		if tries > 100+10*n {
			return nil, errors.Join(errors.New("no free ports"), last)
		}
		port := low + rand.IntN(high-low)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	return ports, nil
}
