# SPDX-License-Identifier: Apache-2.0
"""As much of ISO/IEC 13818-1 as a judge needs: packets, tables, where a picture starts. Written
for the tests and shared with no program, so that both can be wrong only on their own."""

import json
import subprocess

SIZE = 188
NULL = 0x1fff


def pid(packet):
    return (packet[1] & 0x1f) << 8 | packet[2]


def starts_unit(packet):
    return bool(packet[1] & 0x40)


def payload(packet):
    control = packet[3] >> 4 & 3
    if not control & 1:
        return b''
    start = 4 if control == 1 else 5 + packet[4]
    return packet[start:]


def packets(data):
    """Whole packets; fails where the sync byte is not in its place."""
    for at in range(0, len(data) - SIZE + 1, SIZE):
        if data[at] != 0x47:
            raise AssertionError(f'no sync byte at {at}')
        yield data[at:at + SIZE]


class Parser:
    """Fed in any pieces; knows the tables, and says where key frames of H.264 start."""

    def __init__(self):
        self.rest, self.at = b'', 0
        self.pmt = self.video = None
        self.unit, self.unit_at = b'', None
        self.keys = []  # offsets of the packets where a key frame's PES starts

    def feed(self, data):
        """The offsets of key frames that became known."""
        data = self.rest + data
        n = len(data) // SIZE * SIZE
        self.rest = data[n:]
        before = len(self.keys)
        for packet in packets(data[:n]):
            self.packet(packet)
            self.at += SIZE
        return self.keys[before:]

    def packet(self, packet):
        number = pid(packet)
        if number == 0 and starts_unit(packet):
            section = payload(packet)
            section = section[1 + section[0]:]
            self.pmt = (section[10] & 0x1f) << 8 | section[11]
        elif number == self.pmt and starts_unit(packet):
            section = payload(packet)
            section = section[1 + section[0]:]
            length = (section[1] & 0x0f) << 8 | section[2]
            at = 12 + ((section[10] & 0x0f) << 8 | section[11])
            while at + 5 <= 3 + length - 4:
                if section[at] in (0x1b, 0x02, 0x24):
                    self.video = (section[at + 1] & 0x1f) << 8 | section[at + 2]
                at += 5 + ((section[at + 3] & 0x0f) << 8 | section[at + 4])
        elif number == self.video:
            if starts_unit(packet):
                self.unit, self.unit_at = payload(packet), self.at
            elif self.unit_at is not None and len(self.unit) < 2048:
                self.unit += payload(packet)
            if self.unit_at is not None and has_idr(self.unit):
                self.keys.append(self.unit_at)
                self.unit_at = None


def has_idr(unit):
    at = unit.find(b'\0\0\1')
    while at >= 0 and at + 3 < len(unit):
        if unit[at + 3] & 0x1f == 5:
            return True
        at = unit.find(b'\0\0\1', at + 3)
    return False


def tables(data):
    """The PIDs of PAT and PMT in that stream."""
    parser = Parser()
    for packet in packets(data):
        parser.packet(packet)
        if parser.pmt is not None and parser.video is not None:
            return {0, parser.pmt}
    raise AssertionError('no PAT and PMT')


def whole_units(data):
    """The stream without what its cut end has begun and not finished, on each PID."""
    all_packets = list(packets(data))
    last = {}
    for index, packet in enumerate(all_packets):
        if starts_unit(packet):
            last[pid(packet)] = index
    return b''.join(p for i, p in enumerate(all_packets) if i < last.get(pid(p), 0))


def tables_of(data):
    """The last PAT and PMT in that stream."""
    pids, last = tables(data), {}
    for packet in packets(data):
        if pid(packet) in pids and starts_unit(packet):
            last[pid(packet)] = packet
    return b''.join(last[number] for number in sorted(last))


def counter_jumps(data):
    """([offsets of packets whose continuity counter jumps without a mark], marks), by 13818-1,
    2.4.3.3 and 2.4.3.5. A packet may come twice."""
    last, jumps, marks = {}, [], 0
    for at in range(0, len(data), SIZE):
        packet = data[at:at + SIZE]
        assert packet[0] == 0x47, f'no sync byte at {at}'
        number, counter = pid(packet), packet[3] & 15
        if number == NULL:
            continue
        told = packet[3] & 0x20 and packet[4] > 0 and packet[5] & 0x80
        marks += bool(told)
        if number in last and not told:
            before = last[number]
            expected = before[3] + (packet[3] >> 4 & 1) & 15
            if counter != expected and packet[6:] != before[6:]:
                jumps.append(at)
        last[number] = packet
    return jumps, marks


def place_in(sent, got):
    """Where what a viewer got, after the tables put in front of it, stands in what was sent:
    (offset, packets in front, null packets taken out). Fails unless it is one contiguous part."""
    got = got[:len(got) // SIZE * SIZE]
    front = 0
    pids = tables(got)
    for packet in packets(got[:16 * SIZE]):
        if pid(packet) not in pids:
            break
        front += 1
    for nulls in (False, True):
        body, nulled = got, 0
        if nulls:  # an origin fills up with null packets where its input paused (13818-1, 2.4.1)
            body = b''.join(p for p in packets(got) if pid(p) != NULL)
            nulled = (len(got) - len(body)) // SIZE
        for skip in range(front + 1):
            at = sent.find(body[skip * SIZE:])
            if at >= 0:
                return at, skip, nulled
    at = sent.find(got[front * SIZE:(front + 8) * SIZE])
    if at < 0:
        raise AssertionError('the first packets that the viewer got were never sent')
    body = got[front * SIZE:]
    for offset in range(0, len(body), SIZE):
        if body[offset:offset + SIZE] != sent[at + offset:at + offset + SIZE]:
            raise AssertionError(f'the viewer\'s bytes differ from the encoder\'s after {offset}'
                                 f' of {len(body)} (the encoder sent {len(sent) - at} from there)')
    raise AssertionError('the viewer got more than the encoder sent')


def decode_errors(path):
    """What ffmpeg says of a stream that it decodes to the end; '' = nothing wrong."""
    done = subprocess.run(['ffmpeg', '-nostdin', '-v', 'error', '-xerror', '-i', path, '-f', 'null',
                           '-'], capture_output=True, text=True, timeout=300, check=False)
    return done.stderr.strip() or ('' if done.returncode == 0 else f'exit {done.returncode}')


def first_time(path):
    """The PTS of the first picture that a decoder gives, in seconds."""
    done = subprocess.run(['ffprobe', '-v', 'error', '-select_streams', 'v', '-read_intervals', '%+#1',
                           '-show_entries', 'frame=pts_time', '-of', 'csv=p=0', path],
                          capture_output=True, text=True, timeout=120, check=True)
    return float(done.stdout.split()[0].strip(','))


def gaps(path):
    """{stream: (seconds, frames, greatest step between neighbours in seconds)} by PTS."""
    done = subprocess.run(['ffprobe', '-v', 'error', '-show_entries',
                           'packet=codec_type,pts_time,duration_time', '-of', 'json', path],
                          capture_output=True, text=True, timeout=120, check=True)
    times = {}
    for packet in json.loads(done.stdout)['packets']:
        if 'pts_time' not in packet:
            raise AssertionError(f'a packet of {packet["codec_type"]} without a time')
        times.setdefault(packet['codec_type'], []).append(float(packet['pts_time']))
    result = {}
    for kind, stamps in times.items():
        stamps.sort()
        steps = [b - a for a, b in zip(stamps, stamps[1:])]
        result[kind] = (stamps[-1] - stamps[0], len(stamps), max(steps, default=0.0))
    return result
