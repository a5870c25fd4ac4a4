package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// implicitOffsets is the version of TxnOffsetCommit that adds the group to the
// transaction by itself, where transactions v2 are in force (KIP-890).
const implicitOffsets = 5

// addOffsets makes o part of the open transaction.
// Semantics: KIP-98, KIP-447 (member and generation), KIP-890.
func (p *Producer) addOffsets(ctx context.Context, o *Offsets) error {
	if !p.implicit {
		if err := p.announce(ctx, o.Group); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.o.ID, p.id, p.epoch
	req.Group, req.MemberID, req.Generation = o.Group, o.Member, o.Generation
	if o.Instance != "" {
		req.InstanceID = &o.Instance
	}
	for topic, partitions := range o.At {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = topic
		for partition, at := range partitions {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = partition, at.Offset, at.Epoch, kmsg.StringPtr(at.Metadata)
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return again(ctx, func() error {
		resp, err := req.RequestWith(ctx, p.cl)
		if err != nil {
			return err
		}
		if p.implicit && resp.Version < implicitOffsets {
			p.implicit = false // an older broker in a cluster that is being upgraded
			return fmt.Errorf("broker without implicit offsets: %w", kerr.TransactionAbortable)
		}
		var errs []error
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					errs = append(errs, fmt.Errorf("%s/%d: %w", rt.Topic, rp.Partition, err))
				}
			}
		}
		return worst(errs)
	})
}

// announce tells the coordinator that offsets of the group will come.
func (p *Producer) announce(ctx context.Context, group string) error {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.o.ID, p.id, p.epoch, group
	return again(ctx, func() error {
		resp, err := req.RequestWith(ctx, p.cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// worst is the error of errs that another try cannot mend, or else any.
func worst(errs []error) error {
	var out error
	for _, err := range errs {
		if out == nil || classify(err) > classify(out) {
			out = err
		}
	}
	return out
}

// again calls do until it succeeds, fails for more than the moment, or ctx ends.
func again(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || classify(err) != away {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(backoff(n)):
		}
	}
}

// standAt says whether the groups stand at offsets or beyond.
func standAt(ctx context.Context, cl *kgo.Client, offsets []*Offsets) (bool, error) {
	moved := false
	for _, o := range offsets {
		var committed kadm.OffsetResponses
		err := again(ctx, func() (err error) {
			committed, err = kadm.NewClient(cl).FetchOffsets(kadm.RequireStable(ctx), o.Group)
			if err == nil {
				err = committed.Error()
			}
			return err
		})
		if err != nil {
			return false, fmt.Errorf("fetch offsets of group %s: %w", o.Group, err)
		}
		for topic, partitions := range o.At {
			for partition, want := range partitions {
				got, ok := committed.Lookup(topic, partition)
				if !ok || got.At < want.Offset || got.At == want.Offset && got.Metadata != want.Metadata {
					return false, nil
				}
				moved = true
			}
		}
	}
	return moved, nil
}
