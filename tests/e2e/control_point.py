#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A strict little UPnP control point of the standard library alone: finds MediaServers by SSDP,
browses them by SOAP. It is written from the UPnP documents and shares nothing with the gateway.

    control_point.py --interface lo [--name NAME] [--port PORT] [--title TITLE] [--wait SECONDS]

prints one line a channel: title, protocolInfo, address. Exit code 1 when nothing answers in time."""

import argparse
import ipaddress
import re
import socket
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml
from xml.sax.saxutils import escape

MEDIA_SERVER = 'urn:schemas-upnp-org:device:MediaServer:1'
DIRECTORY = 'urn:schemas-upnp-org:service:ContentDirectory:1'
CONNECTIONS = 'urn:schemas-upnp-org:service:ConnectionManager:1'
DEVICE = '{urn:schemas-upnp-org:device-1-0}'
DIDL = '{urn:schemas-upnp-org:metadata-1-0/DIDL-Lite/}'
DC = '{http://purl.org/dc/elements/1.1/}'
UPNP = '{urn:schemas-upnp-org:metadata-1-0/upnp/}'
SOAP = '{http://schemas.xmlsoap.org/soap/envelope/}'
MULTICAST = ('239.255.255.250', 1900)


def first_version(kind):
    """A device or service of a later version is one of the first, too (UPnP Device Architecture, 2.6)."""
    return kind.rpartition(':')[0] + ':1'


class Refused(Exception):
    """A SOAP fault: code and text of the UPnPError."""

    def __init__(self, code, text):
        super().__init__(f'UPnP error {code}: {text}')
        self.code = code


def interface_address(name):
    """The interface's first IPv4 address, by SIOCGIFADDR."""
    import fcntl
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack('256s', name.encode()[:15])
        return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), 0x8915, request)[20:24])


def search(interface, target=MEDIA_SERVER, seconds=3.0, known=()):
    """The LOCATIONs of who answers an M-SEARCH within that time; ends early at the first new."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP) as udp:
        here = interface_address(interface)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(here))
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        udp.bind((here, 0))
        question = ('M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\n'
                    f'MX: 1\r\nST: {target}\r\n\r\n').encode()
        end = time.monotonic() + seconds
        again = 0.0
        while time.monotonic() < end:
            if time.monotonic() >= again:
                udp.sendto(question, MULTICAST)
                again = time.monotonic() + 1.0
            udp.settimeout(max(0.05, min(again, end) - time.monotonic()))
            try:
                answer, _ = udp.recvfrom(4096)
            except socket.timeout:
                continue
            head = answer.decode('ascii', 'replace')
            location = re.search(r'^LOCATION:\s*(\S+)\s*$', head, re.M | re.I)
            kind = re.search(r'^ST:\s*(\S+)\s*$', head, re.M | re.I)
            if head.startswith('HTTP/1.1 200') and location and kind and kind.group(1) == target:
                if location.group(1) not in found:
                    found.append(location.group(1))
                if location.group(1) not in known:
                    break
    return found


def fetch(url, timeout=10, headers=None, limit=1 << 20):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}),
                                timeout=timeout) as answer:
        return answer.read(limit)


class Server:
    """One MediaServer by its description's address."""

    def __init__(self, location):
        self.location = location
        self.root = xml.fromstring(fetch(location))
        device = self.root.find(f'{DEVICE}device')
        if device is None:
            raise ValueError(f'{location}: no device in the description')
        self.type = device.findtext(f'{DEVICE}deviceType')
        self.name = device.findtext(f'{DEVICE}friendlyName')
        self.udn = device.findtext(f'{DEVICE}UDN')
        self.services = {}
        for service in device.iter(f'{DEVICE}service'):
            kind = first_version(service.findtext(f'{DEVICE}serviceType') or '')
            self.services[kind] = {
                tag: urllib.parse.urljoin(location, service.findtext(f'{DEVICE}{tag}') or '')
                for tag in ('controlURL', 'eventSubURL', 'SCPDURL')}

    def ask(self, service, action, **arguments):
        """The action's answer as it came."""
        inner = ''.join(f'<{name}>{escape(str(value))}</{name}>'
                        for name, value in arguments.items())
        body = ('<?xml version="1.0" encoding="utf-8"?>'
                '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
                ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
                f'<u:{action} xmlns:u="{service}">{inner}</u:{action}>'
                '</s:Body></s:Envelope>').encode()
        request = urllib.request.Request(
            self.services[service]['controlURL'], data=body,
            headers={'Content-Type': 'text/xml; charset="utf-8"',
                     'SOAPACTION': f'"{service}#{action}"'})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read(8 << 20)
        except urllib.error.HTTPError as error:
            fault = error.read(1 << 16)
            control = '{urn:schemas-upnp-org:control-1-0}'
            try:
                detail = next(xml.fromstring(fault).iter(f'{control}UPnPError'))
            except (xml.ParseError, StopIteration):
                raise error from None
            raise Refused(int(detail.findtext(f'{control}errorCode')),
                          detail.findtext(f'{control}errorDescription')) from None

    def call(self, service, action, **arguments):
        """The action's out arguments as a dict of text."""
        tree = xml.fromstring(self.ask(service, action, **arguments))
        response = tree.find(f'{SOAP}Body')[0]
        if response.tag != f'{{{service}}}{action}Response':
            raise ValueError(f'{action}: answered {response.tag}')
        return {child.tag: child.text or '' for child in response}

    def browse(self, object_id='0', flag='BrowseDirectChildren', start=0, count=0):
        """(elements of the DIDL-Lite, NumberReturned, TotalMatches)"""
        out = self.call(DIRECTORY, 'Browse', ObjectID=object_id, BrowseFlag=flag, Filter='*',
                        StartingIndex=start, RequestedCount=count, SortCriteria='')
        return (list(xml.fromstring(out['Result'])), int(out['NumberReturned']),
                int(out['TotalMatches']))

    def items(self, object_id='0', depth=4):
        """All items under a container, as dicts."""
        found, start = [], 0
        while True:
            elements, returned, total = self.browse(object_id, start=start)
            for element in elements:
                if element.tag == f'{DIDL}container' and depth > 0:
                    found += self.items(element.get('id'), depth - 1)
                elif element.tag == f'{DIDL}item':
                    found.append(item(element))
            start += returned
            if start >= total or returned == 0:
                return found


def item(element):
    resource = element.find(f'{DIDL}res')
    return {'id': element.get('id'), 'title': element.findtext(f'{DC}title'),
            'class': element.findtext(f'{UPNP}class'),
            'protocol': '' if resource is None else resource.get('protocolInfo', ''),
            'size': None if resource is None else resource.get('size'),
            'url': '' if resource is None else (resource.text or '').strip()}


def find(interface, name=None, seconds=10.0, port=None):
    """The first MediaServer with that friendly name and that port in its LOCATION (or any) on the
    interface, or None."""
    end, known = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        for location in search(interface, seconds=min(3.0, end - time.monotonic()), known=known):
            # A stranger on the LAN must not send us elsewhere.
            try:
                where = urllib.parse.urlsplit(location)
                ipaddress.ip_address(where.hostname or '')
                if port not in (None, where.port):
                    known.add(location)
                    continue
                server = Server(location)
            except (ValueError, OSError, xml.ParseError):
                known.add(location)
                continue
            if first_version(server.type or '') == MEDIA_SERVER and name in (None, server.name):
                return server
            known.add(location)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--interface', default='lo')
    parser.add_argument('--name', help='the server with this friendly name')
    parser.add_argument('--port', type=int, help='the server whose description has this port')
    parser.add_argument('--title', help='wait for an item with this title')
    parser.add_argument('--wait', type=float, default=10.0, help='seconds')
    options = parser.parse_args()
    end = time.monotonic() + options.wait
    server = find(options.interface, options.name, options.wait, options.port)
    if server is None:
        which = '' if options.port is None else f' with port {options.port}'
        print(f'no MediaServer{which} answers on {options.interface}', file=sys.stderr)
        return 1
    while True:
        items = server.items()
        if options.title is None or any(i['title'] == options.title for i in items):
            break
        if time.monotonic() >= end:
            print(f'{server.name} does not list {options.title}', file=sys.stderr)
            return 1
        time.sleep(0.2)
    print(server.name)
    for found in items:
        print(f'{found["title"]}\t{found["protocol"]}\t{found["url"]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
