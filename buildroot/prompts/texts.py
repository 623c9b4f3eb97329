"""What the appliance says, in each language: prompt name -> text.

The voices are espeak-ng's and are placeholders until a studio recording
replaces them: a file of the same name in the data folder's prompts/ wins.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))       # run as a program, from anywhere

from firmware.ivr.phrases import LETTERS, PHRASES  # noqa: E402

TEXTS = {
    "zh_CN": {
        "greeting": "您好，欢迎致电四零零，八零零，一零零零。通话可能被录音。",
        "menu": "销售请按一，售后服务请按二，人工服务请按零。",
        "invalid": "您的输入有误。",
        "no_input": "没有收到您的输入。",
        "please_wait": "正在为您转接，请稍候。",
        "position_before": "您目前排在第",
        "position_after": "位，请继续等待。",
        "wait_before": "预计等待时间约",
        "wait_after": "分钟。",
        "wait_after_one": "分钟。",
        "callback_offer": "如果不想等待，请按星号键，我们将为您保留排队位置并给您回电。",
        "callback_promised": "我们会尽快给您回电，您的排队位置已保留。",
        "callback_hello": "您好，这是您预约的回电，正在为您接通，请稍候。",
        "voicemail_greeting": "您好，现在无人接听，请在提示音后留言，按井号键结束。",
        "voicemail_saved": "您的留言已保存。",
        "voicemail_full": "留言信箱已满。",
        "voicemail_you_have": "您有",
        "voicemail_new_messages": "条新留言。",
        "voicemail_message": "第几条留言，",
        "voicemail_no_more": "没有更多留言。",
        "voicemail_menu": "重听请按一，下一条请按二，删除请按三，上一条请按四，录制问候语请按九，结束请按井号键。",
        "voicemail_record_greeting": "请在提示音后录制问候语，按井号键结束。",
        "duty_confirm": "有值班来电，接听请按一。",
        "queue_full": "现在来电较多，请稍后再拨。",
        "transfer": "正在为您转接。",
        "goodbye": "谢谢您的来电，再见。",
        "done": "操作成功。",
        "not_possible": "操作未成功。",
        "enter_code": "请输入您的密码。",
        **PHRASES["zh_CN"],
    },
    "en": {
        "greeting": "Welcome to four hundred, eight hundred, one thousand. This call may be recorded.",
        "menu": "For sales, press one. For service, press two. For an operator, press zero.",
        "invalid": "That was not a valid choice.",
        "no_input": "We did not receive your choice.",
        "please_wait": "Please wait while we connect you.",
        "position_before": "You are number",
        "position_after": "in the queue. Please stay on the line.",
        "wait_before": "We expect to answer you in about",
        "wait_after": "minutes.",
        "wait_after_one": "minute.",
        "callback_offer": "If you do not want to wait, press star. You keep your place and we call you back.",
        "callback_promised": "We will call you back. You keep your place.",
        "callback_hello": "This is the call that you asked for. Please wait while we connect you.",
        "voicemail_greeting": "Nobody can take your call now. Please leave a message after the tone, and press hash when you have done.",
        "voicemail_saved": "Your message is saved.",
        "voicemail_full": "This mailbox takes no more messages.",
        "voicemail_you_have": "You have",
        "voicemail_new_messages": "new messages.",
        "voicemail_message": "Message",
        "voicemail_no_more": "There are no more messages.",
        "voicemail_menu": "Press one to hear it again, two for the next, three to delete it, four for the one before, nine to record your greeting, hash to end.",
        "voicemail_record_greeting": "Please say your greeting after the tone, and press hash when you have done.",
        "duty_confirm": "A call for the person on duty. To take it, press one.",
        "queue_full": "All our lines are busy. Please call again later.",
        "transfer": "We are transferring your call.",
        "goodbye": "Thank you for calling. Goodbye.",
        "done": "Done.",
        "not_possible": "That is not possible now.",
        "enter_code": "Please enter your code.",
        **PHRASES["en"],
    },
}
VOICES = {"zh_CN": "cmn", "en": "en-gb"}
# Letters are spelled with their English names everywhere.
OTHER_VOICES = {"zh_CN": {"letter_" + letter: VOICES["en"] for letter in LETTERS}}
