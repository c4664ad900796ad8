"""Prompts in many scripts, and the fonts that this machine has for them."""

import pytest

from attnwatch.render.text.fonts import lacking
from attnwatch.render.text.plain import plain

SAMPLES = {
    "Latin": "A very ordinary prompt about a cat that sleeps on a warm windowsill, for $5 or $6_x^2$, while it rains",
    "Cyrillic and Greek": "Русский текст о кошке, которая спит на подоконнике. Ελληνικά: μια γάτα κοιμάται",
    "Vietnamese": "Một con mèo đang ngủ trên bệ cửa sổ ấm áp trong khi trời mưa bên ngoài rất lâu",
    "Chinese": "电影质感的特写镜头，一位年轻女子站在雨中的霓虹街头（身穿红色风衣）the cat, 雨水滴落，“你好”。",
    "Japanese": "日本語のラベル「猫」が走る。ちょっと待って、キャットはメートルを測っていた。",
    "Korean": "한국어 레이블 고양이가 창가에서 잠을 자고 있습니다 비가 내리는 동안",
    "Arabic": "قطة تنام على حافة النافذة الدافئة cat 123 بينما تمطر (في الخارج) لفترة طويلة جداً",
    "Hebrew": "חתול ישן על אדן החלון החם cat בזמן שיורד גשם בחוץ (הרבה זמן)",
    "Devanagari": "हिन्दी में बिल्ली खिड़की पर सो रही है, क्षत्रिय श्री। बाहर बारिश हो रही है",
    "Thai": "แมวกำลังนอนหลับอยู่บนขอบหน้าต่างที่อบอุ่นในขณะที่ฝนตกข้างนอกเป็นเวลานาน",
    "Bengali and Tamil": "বিড়াল জানালায় ঘুমাচ্ছে। பூனை ஜன்னலில் தூங்குகிறது",
    "emoji": "😀 emoji 👩\u200d👩\u200d👧 🇩🇪🇫🇷 ❤️ 👍🏽 a robot 🤖🚀🎉🎈🐈🐕",
    "marks": "Z\u0351\u036b\u0343\u0321\u0329\u0355\u0330 e\u0301\u0323 and A\u030a\u0301\u0302\u0303\u0304\u0305 on",
    "unbroken": "x" * 300 + "W" * 300,
    "controls": "half \ud800 \u202e evil \u2066 \x00\x07 tab\there\nnewline \ufeff",
}


def sample(name):
    """Return a prompt, or skip the test if no font of this machine has its script."""
    return drawable(SAMPLES[name])


def drawable(text):
    """Return a text, or skip the test if no font of this machine has its characters."""
    if missing := lacking(plain(text)):
        pytest.skip(f"no installed font has {missing}")
    return text
