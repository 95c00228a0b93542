package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"

	"sluice/gateway"
)

const (
	socketMode           = 0o600
	apiDrainTimeout      = 2 * time.Second
	metricsHeaderTimeout = 5 * time.Second
)

// listeners are the daemon's doors.
type listeners struct {
	gateway net.Listener
	http    net.Listener // nil: the gateway speaks gRPC alone
	metrics net.Listener
	socket  net.Listener
	control net.Listener // nil: tenants do not reach the control API
}

// listen opens the doors; web is HTTP's TLS, nil for none.
func listen(flags serveFlags, web *tls.Config) (l listeners, err error) {
	defer func() {
		if err != nil {
			for _, open := range []net.Listener{l.gateway, l.http, l.metrics, l.socket, l.control} {
				if open != nil {
					err = errors.Join(err, open.Close())
				}
			}
		}
	}()
	limit, err := gateway.NewConnectionLimit()
	if err != nil {
		return l, err
	}
	if l.gateway, err = net.Listen("tcp", flags.listen); err != nil {
		return l, fmt.Errorf("--listen: %w", err)
	}
	l.gateway = limit.Listen(l.gateway)
	if flags.httpListen != "" {
		if l.http, err = net.Listen("tcp", flags.httpListen); err != nil {
			return l, fmt.Errorf("--http-listen: %w", err)
		}
		l.http = limit.Listen(l.http)
		if web != nil {
			l.http = tls.NewListener(l.http, web)
		}
	}
	if l.metrics, err = net.Listen("tcp", flags.metricsListen); err != nil {
		return l, fmt.Errorf("--metrics-listen: %w", err)
	}
	if flags.controlListen != "" {
		if l.control, err = net.Listen("tcp", flags.controlListen); err != nil {
			return l, fmt.Errorf("--control-listen: %w", err)
		}
	}
	l.socket, err = listenUnix(flags.in(socketName))
	return l, err
}

// listenUnix makes the socket anew. Nobody else serves on it: the store's lock was free.
func listenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the socket of an earlier daemon: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on the daemon's socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("keeping the daemon's socket to its user: %w", err), listener.Close())
	}
	return listener, nil
}

// serveAPI ends calls under way after a moment: watchers would stay for ever.
func serveAPI(ctx context.Context, api *grpc.Server, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(apiDrainTimeout, api.Stop)
		defer timer.Stop()
		api.GracefulStop()
	})
	defer stop()
	return api.Serve(listener)
}

func serveMetrics(ctx context.Context, registry *prometheus.Registry, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: metricsHeaderTimeout}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
