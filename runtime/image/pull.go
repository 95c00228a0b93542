package image

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// progressInterval is how often Progress is called.
const progressInterval = 200 * time.Millisecond

// Source is an image in a registry.
type Source struct {
	Name      string // as users write it: Name completes it; without a registry's host it means Docker Hub's library
	Username  string // empty: anonymous
	Password  string
	PlainHTTP bool // a registry on this machine is spoken to without TLS in any case

	Progress func(doneBytes, totalBytes int64) // may be nil; the total grows until the manifest is read
}

// Pull fetches an image of this machine's platform from its registry and unpacks it. The image is called as Source.Name says.
// The client's default namespace is where it goes.
func Pull(ctx context.Context, client *containerd.Client, source Source) (imported Imported, err error) {
	name, err := Name(source.Name)
	if err != nil {
		return Imported{}, err
	}
	full, err := reference.ParseDockerRef(name)
	if err != nil {
		return Imported{}, fmt.Errorf("%w: name %.80q: %w", ErrInvalid, name, err)
	}
	ctx, done, err := client.WithLease(ctx) // keeps what is fetched until it has its names
	if err != nil {
		return Imported{}, fmt.Errorf("pull image: %w", err)
	}
	defer func() { err = errors.Join(err, done(context.WithoutCancel(ctx))) }()
	counter := &pullCounter{content: client.ContentStore(), parts: make(map[string]int64)}
	stop := counter.report(ctx, source.Progress)
	fetched, err := client.Fetch(ctx, full.String(), containerd.WithResolver(registryResolver(source)),
		containerd.WithPlatform(platforms.DefaultString()), containerd.WithImageHandlerWrapper(counter.wrap))
	stop()
	if errdefs.IsNotFound(err) {
		return Imported{}, fmt.Errorf("pull image %s: %w", full, ErrNotFound)
	}
	if err != nil {
		return Imported{}, fmt.Errorf("pull image %s: %w", full, err)
	}
	if err := rename(ctx, client.ImageService(), &fetched, name); err != nil {
		return Imported{}, fmt.Errorf("pull image: name %s: %w", name, err)
	}
	return finish(ctx, client, fetched)
}

func registryResolver(source Source) remotes.Resolver {
	var options []docker.AuthorizerOpt
	if source.Username != "" {
		options = append(options, docker.WithAuthCreds(func(string) (string, string, error) { return source.Username, source.Password, nil }))
	}
	plain := docker.MatchLocalhost
	if source.PlainHTTP {
		plain = docker.MatchAllHosts
	}
	return docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
		docker.WithPlainHTTP(plain), docker.WithAuthorizer(docker.NewDockerAuthorizer(options...)),
	)})
}

// rename gives an image the name that functions call it by.
func rename(ctx context.Context, store images.Store, image *images.Image, name string) error {
	before := image.Name
	if before == name {
		return nil
	}
	image.Name = name
	_, err := store.Create(ctx, *image)
	if errdefs.IsAlreadyExists(err) {
		_, err = store.Update(ctx, *image)
	}
	if err != nil {
		return err
	}
	return store.Delete(ctx, before)
}

// pullCounter counts the bytes of an image while it is fetched, and ends a pull that is over the limit.
type pullCounter struct {
	content content.IngestManager

	mutex sync.Mutex
	parts map[string]int64 // bytes by the key of their ingestion
	total int64
	done  int64 // of the parts that are there as a whole
}

// wrap sees every part before and after it is fetched.
func (c *pullCounter) wrap(fetch images.Handler) images.Handler {
	return images.HandlerFunc(func(ctx context.Context, part ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		key := remotes.MakeRefKey(ctx, part)
		c.mutex.Lock()
		if _, known := c.parts[key]; !known {
			c.total += part.Size
		}
		c.parts[key] = part.Size
		over := part.Size < 0 || c.total > BytesMax
		c.mutex.Unlock()
		if over {
			return nil, fmt.Errorf("%w: the image has more than %d bytes", ErrInvalid, int64(BytesMax))
		}
		children, err := fetch.Handle(ctx, part)
		if err == nil {
			c.mutex.Lock()
			c.done += part.Size
			delete(c.parts, key)
			c.mutex.Unlock()
		}
		return children, err
	})
}

// report calls progress until the returned function is called, and a last time then.
func (c *pullCounter) report(ctx context.Context, progress func(doneBytes, totalBytes int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				progress(c.count(ctx))
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		progress(c.count(context.WithoutCancel(ctx)))
	}
}

func (c *pullCounter) count(ctx context.Context) (doneBytes, totalBytes int64) {
	running, err := c.content.ListStatuses(ctx)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	doneBytes = c.done
	if err == nil { // without it the parts under way count for nothing yet
		for _, status := range running {
			if size, ours := c.parts[status.Ref]; ours {
				doneBytes += min(status.Offset, size)
			}
		}
	}
	return doneBytes, c.total
}
